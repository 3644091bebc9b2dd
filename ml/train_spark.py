"""The last fit on all rows where they lie: XGBoost's own estimator on Spark's executors.

Families are chosen, calibrated and judged on the rows that come to this machine, a sample where
gold is large. The model that is kept then learns from every row that may train; none comes here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.pipeline import Pipeline

from ml import matrix
from ml.errors import HoldfastError, UsageError
from ml.families import XGBOOST
from ml.families.extras import require
from ml.families.protocol import CLASSIFY, ENCODE
from ml.plan import Plan
from ml.profile import SPARKS, engine_of
from ml.settings import Settings
from ml.warehouse import open_warehouse
from ml.warehouse.spark import SparkWarehouse, on_batches
from ml.weights import Weighting

_LABEL, _WEIGHT = "label", "weight"


def require_possible(settings: Settings) -> None:
    """Raise unless this target and these families can be fitted on all rows.

    Raises
    ------
    UsageError
        Where the target is not Spark, or other families than XGBoost are asked for.
    HoldfastError
        Where the extra is not installed.
    """
    if engine_of(settings) not in SPARKS:
        raise UsageError(
            f"All rows are fitted on Spark's executors, and the target {settings.target} is not "
            "Spark. Leave --all-rows out, or raise `train.max_rows`."
        )
    if tuple(settings.train.families) != (XGBOOST,):
        raise UsageError(
            "All rows can be fitted by XGBoost alone; asked for was "
            f"{', '.join(settings.train.families)}. Add `--families {XGBOOST}`."
        )
    require(XGBOOST)


def fit_on_all_rows(settings: Settings, plan: Plan, pipeline: Pipeline) -> tuple[Pipeline, int]:
    """Fit XGBoost on every row of gold.training_set that may train; return how many they are too.

    Parameters
    ----------
    pipeline
        The family fitted on the rows that came here: its encoder, with the categories it has seen
        there, encodes all rows; its trees are replaced.

    Raises
    ------
    HoldfastError
        Where Spark fails.
    """
    types = plan.contract.types
    columns = ", ".join(f'"{name}"' for name in types)
    rows = (
        f"select {columns}, is_churn, sample_weight, monthly_revenue from gold.training_set "
        "where label_known_at <= cast($1 as timestamp) "
        f"and as_of_date not in ({', '.join(f'${at + 2}' for at in range(len(plan.period.dates)))})"
    )
    params = [plan.period.cutoff, *plan.period.dates]
    with open_warehouse(settings, read_only=True) as warehouse:
        if not isinstance(warehouse, SparkWarehouse):
            raise HoldfastError("Executors fit what lies in Spark alone.")
        counts = warehouse.query(
            f"select count(*) as rows, count(*) filter (where is_churn) as churned from ({rows})",
            params,
        ).to_pylist()[0]
        names = [f"f{at}" for at in range(_encoded_columns(pipeline))]
        encode = on_batches(
            encoded_batches,
            pipeline.named_steps[ENCODE],
            dict(types),
            settings.train.weighting,
            (counts["churned"], counts["rows"]),
        )
        schema = ", ".join(f"{name} double" for name in (*names, _LABEL, _WEIGHT))
        encoded = warehouse.frame(rows, params).mapInArrow(encode, schema).persist()
        try:
            booster = _fit(warehouse, pipeline.named_steps[CLASSIFY], encoded, names)
        finally:
            encoded.unpersist()
    pipeline.named_steps[CLASSIFY].adopt(booster, len(names))
    return pipeline, int(counts["rows"])


def _fit(warehouse: SparkWarehouse, trees: Any, encoded: Any, names: list[str]) -> Any:
    from pyspark.sql import functions

    # Weights are brought to a mean of 1, so that their scale changes no regularisation.
    mean = encoded.agg(functions.avg(_WEIGHT)).collect()[0][0]
    weighted = encoded.withColumn(_WEIGHT, functions.col(_WEIGHT) / functions.lit(mean))
    # Spark says how many cores a task has.
    params = {name: value for name, value in trees.params.items() if name != "nthread"}
    estimator = require("xgboost.spark").SparkXGBClassifier(
        features_col=names,
        label_col=_LABEL,
        weight_col=_WEIGHT,
        num_workers=warehouse.session.sparkContext.defaultParallelism,
        tree_method="hist",
        random_state=trees.seed,
        **params,
    )
    return estimator.fit(weighted).get_booster()


def _encoded_columns(pipeline: Pipeline) -> int:
    return int(pipeline.named_steps[CLASSIFY].gain_.size)


def encoded_batches(
    batches: Iterator[pa.RecordBatch],
    encoder: Any,
    types: Mapping[str, str],
    weighting: Weighting,
    counts: tuple[int, int],
) -> Iterator[pa.RecordBatch]:
    """Yield rows of gold as columns of numbers, with label and weight last."""
    for batch in batches:
        if not batch.num_rows:
            continue
        encoded = np.asarray(encoder.transform(matrix.to_frame(batch, types)), dtype=np.float64)
        target = matrix.to_floats(batch.column("is_churn"))
        weight = weighting.weights(
            matrix.to_floats(batch.column("sample_weight")),
            matrix.to_floats(batch.column("monthly_revenue")),
            target,
            counts=counts,
        )
        arrays = [pa.array(column) for column in (*encoded.T, target, weight)]
        names = [*(f"f{at}" for at in range(encoded.shape[1])), _LABEL, _WEIGHT]
        yield pa.RecordBatch.from_arrays(arrays, names)
