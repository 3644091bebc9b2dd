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
    truth_dir: Path, test_keys: pa.Table, outcomes: Outcomes, forecast: Forecast, share: float
) -> TruthReport | None:
    """Return what the true probability and a forecast reach on the test rows that it covers.

    None where there is no truth, as for every real company, or where it covers one class only.

    Parameters
    ----------
    test_keys
        `customer_id` and `as_of_date` of the test rows.
    outcomes, forecast
        What happened to those rows and what the model said of them, in the same order.
    share
        The share of customers that can be called.
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
    if row.size == 0 or outcomes.target[row].min() == outcomes.target[row].max():
        return None
    inside = np.zeros(outcomes.target.size, dtype=bool)
    inside[row] = True
    probability = np.full(inside.size, np.nan)
    probability[row] = joined["churn_probability_horizon"].to_numpy()
    known = Forecast(probability, probability).at(inside)
    return TruthReport(
        observations=int(row.size),
        of_truth=_figures(outcomes.at(inside), known, share),
        of_model=_figures(outcomes.at(inside), forecast.at(inside), share),
    )


def _figures(outcomes: Outcomes, forecast: Forecast, share: float) -> dict[str, float | None]:
    found = metrics.measure(outcomes, forecast, share)
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}
