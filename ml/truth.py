"""The demo company's truth, reported beside the model; it never reaches one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml import matrix, metrics
from ml.metrics import Forecast, Outcomes
from ml.records import TruthReport


def compare_with_truth(
    truth_dir: Path, test_keys: pa.Table, outcomes: Outcomes, forecast: Forecast
) -> TruthReport | None:
    """Return what the true probability and a forecast reach on the test rows that it covers.

    None where there is no truth, as for every real company, or where it covers one class only.

    Parameters
    ----------
    test_keys
        `customer_id` and `as_of_date` of the test rows.
    outcomes, forecast
        What happened to those rows and what the model said of them, in the same order.
    """
    path = truth_dir / "monthly_churn.parquet"
    if not path.is_file():
        return None
    truth = pq.read_table(
        path, columns=["customer_id", "as_of_date", "churn_probability_horizon"]
    ).to_pandas()
    rows = pd.DataFrame(
        {
            "customer_id": test_keys.column("customer_id").to_pandas(),
            "as_of_date": matrix.to_days(test_keys.column("as_of_date")),
            "row": np.arange(test_keys.num_rows),
        }
    )
    truth["as_of_date"] = pd.to_datetime(truth["as_of_date"]).astype(rows["as_of_date"].dtype)
    joined = rows.merge(truth, on=["customer_id", "as_of_date"], validate="1:1").dropna()
    row = joined["row"].to_numpy()
    target, probability = outcomes.target[row], joined["churn_probability_horizon"].to_numpy()
    if row.size == 0 or target.min() == target.max():
        return None
    return TruthReport(
        observations=int(row.size),
        average_precision=float(metrics.average_precision(target, probability)),
        roc_auc=float(metrics.roc_auc(target, probability)),
        model_average_precision=float(metrics.average_precision(target, forecast.score[row])),
        model_roc_auc=float(metrics.roc_auc(target, forecast.score[row])),
    )
