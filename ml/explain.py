"""Why a score is what it is: exact contributions of features, and the strongest as reasons.

Each family of `ml.families` divides its own score among the encoded columns; here the columns of a
feature are put together. The parts and the base add up to the raw score, in log-odds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.estimators import ChurnModel
from ml.families.encode import encoded_sources
from ml.matrix import Rows, as_text

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# 20,000 rows x 200 columns x 8 bytes: 32 MB a temporary.
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Contributions:
    """Parts of the raw score, in log-odds.

    Attributes
    ----------
    features
        The model's features, in its order.
    values
        `(n_observations, n_features)`; above 0 raises risk.
    base
        `(n_observations,)`, the score of no particular customer.
    """

    features: tuple[str, ...]
    values: Floats
    base: Floats

    @property
    def raw_score(self) -> Floats:
        """Return the sum of all parts."""
        return np.asarray(self.values.sum(axis=1) + self.base)


@dataclass(frozen=True)
class TopReasons:
    """The strongest reasons of each row, `(n_observations, at most k)`, strongest first.

    Attributes
    ----------
    feature
        Positions of the features.
    contribution
        Their parts of the raw score; 0 marks a place that no reason fills.
    """

    feature: Integers
    contribution: Floats


def contributions(model: ChurnModel, frame: pd.DataFrame) -> Contributions:
    """Divide the raw score of each row among the model's features."""
    features = tuple(model.types)
    values = np.empty((len(frame), len(features)))
    base = np.empty(len(frame))
    add_up = _column_sums(encoded_sources(model.pipeline), features)
    for start in range(0, len(frame), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        encoded = model.classifier.contributions(model.encode(frame.iloc[part]))
        values[part] = add_up(encoded[:, :-1])
        base[part] = encoded[:, -1]
    return Contributions(features, values, base)


def used_features(model: ChurnModel) -> int:
    """Return how many features can contribute to this model's scores at all."""
    used = model.classifier.importance() > 0
    sources = encoded_sources(model.pipeline)
    return len({source for source, is_used in zip(sources, used, strict=True) if is_used})


def top_reasons(values: Floats, k: int) -> TopReasons:
    """Return the k strongest reasons of each row: those that raise risk first, each by size.

    A feature that contributes nothing is no reason.

    Parameters
    ----------
    values
        `(n_observations, n_features)`.
    k
        At least 1.
    """
    k = min(k, values.shape[1])
    # One number orders both groups: raising parts above 1, lowering parts in (0, 1], none at 0.
    strength = np.where(values > 0, 1 + values, -values / (1 + np.abs(values)))
    candidates = np.sort(np.argpartition(-strength, k - 1, axis=1)[:, :k], axis=1)
    inside = np.take_along_axis(strength, candidates, axis=1)
    order = np.argsort(-inside, axis=1, kind="stable")
    feature = np.take_along_axis(candidates, order, axis=1)
    return TopReasons(feature, np.take_along_axis(values, feature, axis=1))


def reason_columns(
    rows: Rows, features: Sequence[str], reasons: TopReasons
) -> dict[str, pa.Array | Integers]:
    """Return reasons in long form: one entry a reason, by row and then by rank.

    Parameters
    ----------
    rows
        The observations, for the features' values.
    features
        What the positions in `reasons` stand for.

    Returns
    -------
    dict
        `row` (position of the observation), `reason_rank` (from 1), `feature`, `feature_value`
        (text, null where the feature is null) and `contribution`.
    """
    is_reason = reasons.contribution != 0
    row, place = np.nonzero(is_reason)
    position = reasons.feature[row, place]
    names = pa.array(list(features), pa.string())
    return {
        "row": row,
        "reason_rank": pa.array(place + 1, pa.int32()),
        "feature": names.take(pa.array(position)),
        "feature_value": _values(rows, features, row, position),
        "contribution": pa.array(reasons.contribution[is_reason]),
    }


def _values(rows: Rows, features: Sequence[str], row: Integers, position: Integers) -> pa.Array:
    """Return the text of feature `position[i]` in row `row[i]`, one cast a feature."""
    if position.size == 0:
        return pa.array([], pa.string())
    by_feature = np.argsort(position, kind="stable")
    used, starts = np.unique(position[by_feature], return_index=True)
    parts = [
        as_text(pc.take(rows.column(features[feature]), pa.array(row[places])))
        for feature, places in zip(used, np.split(by_feature, starts[1:]), strict=True)
    ]
    back = np.empty(len(by_feature), dtype=np.int64)
    back[by_feature] = np.arange(len(by_feature))
    return pa.concat_arrays(parts).take(pa.array(back))


def _column_sums(sources: Sequence[str], features: Sequence[str]) -> Callable[[Floats], Floats]:
    """Return a function that adds up the encoded columns of each feature."""
    place = {name: position for position, name in enumerate(features)}
    targets = np.array([place[source] for source in sources])
    order = np.argsort(targets, kind="stable")
    used, starts = np.unique(targets[order], return_index=True)

    def add_up(encoded: Floats) -> Floats:
        values = np.zeros((len(encoded), len(features)))
        values[:, used] = np.add.reduceat(encoded[:, order], starts, axis=1)
        return values

    return add_up
