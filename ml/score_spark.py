"""Scoring where the rows lie: the model goes to Spark's executors, and no customer comes here.

Each executor gets the pickled model and applies it to Arrow batches. What they write is staged in a
table, for the model must not be applied again for each of its readers: the check at the door, the
ranking and the reasons.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ml import checks, door
from ml.errors import HoldfastError
from ml.estimators import ChurnModel
from ml.reasons import Wording
from ml.scored_batch import scored_batch
from ml.settings import Settings
from ml.warehouse import Warehouse
from ml.warehouse.spark import SparkWarehouse, on_batches

# One row a customer with the scores, and one a reason with its words; the rest is null.
_STAGED = pa.schema(
    {
        "customer_id": pa.string(),
        "score": pa.float64(),
        "churn_probability": pa.float64(),
        "reason_rank": pa.int32(),
        "feature": pa.string(),
        "feature_value": pa.string(),
        "contribution": pa.float64(),
        "reason": pa.string(),
    }
)
_STAGED_TYPES = (
    "customer_id string, score double, churn_probability double, reason_rank int, feature string, "
    "feature_value string, contribution double, reason string"
)


@dataclass(frozen=True)
class Task:
    """What the executors have to do.

    Attributes
    ----------
    where
        The slice: as-of date, name and version of the model.
    rows
        How many customers there are.
    most
        Reasons a customer.
    """

    model: ChurnModel
    wording: Wording
    where: Mapping[str, object]
    rows: int
    most: int


def score_on_executors(
    settings: Settings,
    warehouse: Warehouse,
    task: Task,
    *,
    query: str,
    params: Sequence[object],
    shared: Mapping[str, str],
    scored_at: datetime,
) -> tuple[int, float]:
    """Score, check and write one slice; return how many reasons it has and the mean probability.

    Parameters
    ----------
    query, params
        The observations, with the columns that the model and the wording need.
    shared
        Columns of `ml.predictions` that are equal in all rows; `run_id` among them.

    Raises
    ------
    ContractError
        If the predictions fail the check at the door; then nothing of them is written.
    """
    if not isinstance(warehouse, SparkWarehouse):
        raise HoldfastError("Executors score what lies in Spark alone.")
    staged = f"ml.scored_{shared['run_id']}"
    frame = warehouse.frame(query, params)
    apply = on_batches(staged_batches, task.model, task.wording, task.most)
    parts = frame.mapInArrow(apply, _STAGED_TYPES)
    parts.write.format("parquet").saveAsTable(staged)
    try:
        ranked = (
            "select customer_id, score, churn_probability, cast(row_number() over (order by "
            "churn_probability desc, score desc, customer_id asc) as int) as rank "
            f"from {staged} where reason_rank is null"
        )
        found = warehouse.query(_MEASURED.format(ranked=ranked)).to_pylist()[0]
        results = judged(found, task.rows)
        report = checks.CheckReport(
            shared["run_id"], checks.PREDICTIONS_SUITE, scored_at, tuple(results)
        )
        door.keep_and_require(settings, report)
        keys = {**task.where, **shared, "scored_at": scored_at}
        _write(
            warehouse,
            "ml.prediction_reasons",
            f"select customer_id, reason_rank, feature, feature_value, contribution, reason "
            f"from {staged} where reason_rank is not null",
            task.where,
            task.where,
        )
        _write(warehouse, "ml.predictions", ranked, keys, task.where)
        reasons = warehouse.query(f"select count(reason_rank) as reasons from {staged}")
        return int(reasons["reasons"][0].as_py()), float(found["mean_probability"])
    finally:
        warehouse.execute(f"drop table if exists {staged}")


_MEASURED = """
    select
        count(*) as rows,
        count(distinct customer_id) as customers,
        count(customer_id) as with_customer,
        count(score) as with_score,
        count(churn_probability) as with_probability,
        count(*) filter (where churn_probability not between 0 and 1) as outside,
        count(distinct rank) as ranks,
        coalesce(min(rank), 0) as first_rank,
        coalesce(max(rank), 0) as last_rank,
        avg(churn_probability) as mean_probability
    from ({ranked}) as ranked
"""


def judged(found: Mapping[str, Any], rows: int) -> list[checks.CheckResult]:
    """Return what the expectations of `checks.prediction_expectations` find, from counts of rows.

    Parameters
    ----------
    found
        Counts over every prediction.
    rows
        How many there should be.
    """

    def result(name: str, column: str | None, observed: object, wanted: object) -> Any:
        return checks.CheckResult(
            is_success=observed == wanted,
            expectation=f"expect_{name}",
            column_name=column,
            observed=json.dumps(observed, default=str),
            details=json.dumps({"wanted": wanted}, default=str),
        )

    return [
        result("table_row_count_to_equal", None, found["rows"], rows),
        result("column_values_to_be_unique", "customer_id", found["customers"], rows),
        result("column_values_to_not_be_null", "customer_id", found["with_customer"], rows),
        result("column_values_to_not_be_null", "score", found["with_score"], rows),
        result(
            "column_values_to_not_be_null", "churn_probability", found["with_probability"], rows
        ),
        result("column_values_to_be_between", "churn_probability", found["outside"], 0),
        result("column_values_to_be_unique", "rank", found["ranks"], rows),
        result(
            "column_values_to_be_between",
            "rank",
            [found["first_rank"], found["last_rank"]],
            [min(1, rows), rows],
        ),
    ]


def staged_batches(
    batches: Iterator[pa.RecordBatch], model: ChurnModel, wording: Wording, most: int
) -> Iterator[pa.RecordBatch]:
    """Yield predictions and reasons of some customers as rows of the staging table."""
    for batch in batches:
        if not batch.num_rows:
            continue
        score, reasons = scored_batch(model, batch, wording, most)
        yield _staged(
            {
                "customer_id": batch.column("customer_id"),
                "score": pa.array(score),
                "churn_probability": pa.array(model.calibrator.probability(score)),
            },
            batch.num_rows,
        )
        yield _staged(dict(zip(reasons.schema.names, reasons.columns, strict=True)), len(reasons))


def _staged(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in _STAGED
        ],
        schema=_STAGED,
    )


def _write(
    warehouse: SparkWarehouse,
    relation: str,
    query: str,
    shared: Mapping[str, object],
    where: Mapping[str, object],
) -> None:
    from pyspark.sql import functions

    frame = warehouse.frame(query)
    for name, value in shared.items():
        frame = frame.withColumn(name, functions.lit(value))
    warehouse.write(relation, frame, where=where)
