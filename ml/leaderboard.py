"""Families side by side over a series of past dates, each judged by what was known on it.

A family stands by its average precision averaged over the dates, not by one date's luck.
Differences are paired: all are judged on the same bootstrap samples of customers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.baselines import RECENCY
from ml.judge import OVERALL, Evaluation
from ml.metrics import Estimate, Outcomes, Sampled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MEAN = "mean_average_precision"
WORST = "worst_average_precision"
GAIN = "gain_over_recency"
GAP = "gap_to_best"


@dataclass(frozen=True)
class Standing:
    """One estimator's history over the judged dates.

    Attributes
    ----------
    mean
        Average precision, averaged over the dates.
    worst, worst_fold
        Its least, and the date of it.
    by_fold
        Date to average precision; None where the date has one class only.
    gain
        Mean over that of recency alone; None for recency itself and where there is none.
    gap
        Mean less that of the best; None for the best.
    """

    estimator: str
    mean: Estimate
    worst: float | None
    worst_fold: str | None
    by_fold: Mapping[str, float | None]
    gain: Estimate | None
    gap: Estimate | None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Standing":
        """Return the standing that was written as a mapping."""
        estimates = {
            name: None if values[name] is None else Estimate(**values[name])
            for name in ("mean", "gain", "gap")
        }
        return cls(**{**values, **estimates})


def leaderboard(
    outcomes: Outcomes,
    fold: Integers,
    names: Sequence[str],
    scores: Mapping[str, Floats],
    customer_weights: Floats,
) -> tuple[Standing, ...]:
    """Return the standings of families and baselines, best first.

    Parameters
    ----------
    outcomes
        What happened to the judged rows, `(n,)`.
    fold
        The number of the fold that judges each row, `(n,)`.
    names
        The folds' names.
    scores
        Estimator to scores, `(n,)`.
    customer_weights
        How often each customer counts in each bootstrap sample, `(samples, customers)`.
    """
    found = histories(outcomes, fold, len(names), scores, customer_weights)
    order = sorted(scores, key=lambda name: -_or_least(found[name].mean))
    return tuple(_standing(name, order[0], names, found) for name in order)


@dataclass(frozen=True)
class History:
    """Average precision over the folds, and its mean on every bootstrap sample."""

    by_fold: Floats
    samples: Floats

    @property
    def mean(self) -> float:
        """The mean over the folds that have both classes; nan where none has."""
        known = self.by_fold[np.isfinite(self.by_fold)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def overall(self) -> Sampled:
        """The mean, and what it is on every bootstrap sample."""
        return Sampled(self.mean, self.samples)


def histories(
    outcomes: Outcomes,
    fold: Integers,
    folds: int,
    scores: Mapping[str, Floats],
    customer_weights: Floats,
) -> dict[str, History]:
    """Return the history of every estimator; parameters as for `leaderboard`."""
    return {
        name: _history(outcomes, fold, folds, score, customer_weights)
        for name, score in scores.items()
    }


def evaluations(
    standings: Sequence[Standing], outcomes: Outcomes, split: str
) -> tuple[Evaluation, ...]:
    """Return the standings as rows of `ml.evaluations`."""
    found = []
    for each in standings:
        estimates = {
            MEAN: each.mean,
            WORST: Estimate(each.worst),
            GAIN: each.gain,
            GAP: each.gap,
        }
        found += [
            Evaluation(
                estimator=each.estimator,
                segment_type=OVERALL,
                segment="all",
                metric=metric,
                value=estimate.value,
                lower_bound=estimate.lower,
                upper_bound=estimate.upper,
                observations=outcomes.target.size,
                churned=int(outcomes.target.sum()),
                split=split,
            )
            for metric, estimate in estimates.items()
            if estimate is not None
        ]
    return tuple(found)


def _standing(name: str, best: str, names: Sequence[str], found: Mapping[str, History]) -> Standing:
    own = found[name]
    known = np.isfinite(own.by_fold)
    worst = int(np.nanargmin(own.by_fold)) if known.any() else None

    def against(other: str) -> Estimate | None:
        return (
            None if other == name or other not in found else own.overall.less(found[other].overall)
        )

    return Standing(
        estimator=name,
        mean=own.overall.estimate,
        worst=None if worst is None else float(own.by_fold[worst]),
        worst_fold=None if worst is None else names[worst],
        by_fold={
            fold: float(value) if np.isfinite(value) else None
            for fold, value in zip(names, own.by_fold, strict=True)
        },
        gain=against(RECENCY),
        gap=against(best),
    )


def _history(
    outcomes: Outcomes, fold: Integers, folds: int, score: Floats, customer_weights: Floats
) -> History:
    found = []
    for at in range(folds):
        rows = fold == at
        of_fold = metrics.average_precision_of(outcomes.target[rows], score[rows])
        found.append(metrics.sampled(of_fold, outcomes.customer[rows], customer_weights))
    return History(
        by_fold=np.array([each.value for each in found]),
        samples=np.asarray(np.mean([each.samples for each in found], axis=0)),
    )


def _or_least(value: float) -> float:
    return value if np.isfinite(value) else -1.0
