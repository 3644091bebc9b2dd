"""Scores and reasons of one batch of customers, wherever the batch lies."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import explain, matrix, reasons
from ml.estimators import ChurnModel
from ml.reasons import Wording

Floats = NDArray[np.float64]


def scored_batch(
    model: ChurnModel, batch: pa.RecordBatch, wording: Wording, most: int
) -> tuple[Floats, pa.RecordBatch]:
    """Return the raw scores of some customers, and their reasons in long form."""
    parts = explain.contributions(model, matrix.to_frame(batch, model.types))
    return parts.raw_score, _reasons(batch, parts, wording, most)


def _reasons(
    batch: pa.RecordBatch, parts: explain.Contributions, wording: Wording, most: int
) -> pa.RecordBatch:
    top = explain.top_reasons(parts.values, most)
    columns = explain.reason_columns(batch, parts.features, top)
    row = np.asarray(columns.pop("row"))
    return pa.RecordBatch.from_pydict(
        {
            "customer_id": batch.column("customer_id").take(pa.array(row)),
            **columns,
            "reason": reasons.reason_words(batch, wording, row, columns["feature"]),
        }
    )
