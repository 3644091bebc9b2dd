"""Judge estimators side by side on the test rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.metrics import AVERAGE_PRECISION, METRICS, Estimate, Forecast, Outcomes

Floats = NDArray[np.float64]

OVERALL = "overall"
TEST, VALIDATION, BACKTEST = "test", "validation", "backtest"
# Fewer churned or retained customers than this tell nothing about a segment: its metrics are null.
MIN_SEGMENT_CLASS = 10


@dataclass(frozen=True)
class Evaluation:
    """One metric of one estimator on the rows of one segment; None where it has no value.

    Attributes
    ----------
    split
        Which rows: `test`, `validation`, or `backtest`.
    """

    estimator: str
    segment_type: str
    segment: str
    metric: str
    value: float | None
    lower_bound: float | None
    upper_bound: float | None
    observations: int
    churned: int
    split: str = TEST


@dataclass(frozen=True)
class Judgement:
    """The results, and the bootstrap of average precision for pairing."""

    evaluations: tuple[Evaluation, ...]
    precision_samples: Mapping[str, Floats] = field(default_factory=dict)

    def overall(self, estimator: str, metric: str, split: str = TEST) -> Estimate:
        """Return one metric over all rows."""
        for each in self.evaluations:
            found = (each.split, each.estimator, each.segment_type, each.metric)
            if found == (split, estimator, OVERALL, metric):
                return Estimate(each.value, each.lower_bound, each.upper_bound)
        raise KeyError(f"{estimator} {metric}")


def judge(
    outcomes: Outcomes,
    segments: Mapping[str, NDArray[np.object_]],
    forecasts: Mapping[str, Forecast],
    *,
    share: float,
    samples: int,
    rng: np.random.Generator,
    split: str = TEST,
) -> Judgement:
    """Judge every estimator on all rows and on each segment.

    All are judged on the same bootstrap samples of customers, so their differences are paired.

    Parameters
    ----------
    outcomes
        What happened to the rows.
    segments
        Kind of segment to the rows' segments, of shape `(n,)`.
    forecasts
        Estimator to its forecast of the rows.
    share
        The share of customers that can be called.
    samples
        How many bootstrap samples.
    split
        What the rows are called in the evaluations.
    """
    weights = metrics.draw_customers(outcomes, samples, rng)
    parts = [(OVERALL, "all", np.ones(outcomes.target.size, dtype=bool))]
    for segment_type, values in segments.items():
        parts += [
            (segment_type, str(value), np.asarray(values == value))
            for value in sorted({value for value in values if value is not None})
        ]
    evaluations: list[Evaluation] = []
    precision: dict[str, Floats] = {}
    for estimator, forecast in forecasts.items():
        for segment_type, segment, rows in parts:
            some = outcomes.at(rows)
            found = _measured(some, forecast.at(rows), share, weights)
            if segment_type == OVERALL:
                precision[estimator] = found.samples[AVERAGE_PRECISION]
            evaluations += [
                Evaluation(
                    estimator=estimator,
                    segment_type=segment_type,
                    segment=segment,
                    metric=metric,
                    value=estimate.value,
                    lower_bound=estimate.lower,
                    upper_bound=estimate.upper,
                    observations=some.target.size,
                    churned=int(some.target.sum()),
                    split=split,
                )
                for metric, estimate in found.estimates.items()
            ]
    return Judgement(tuple(evaluations), precision)


@dataclass(frozen=True)
class _Measured:
    estimates: Mapping[str, Estimate]
    samples: Mapping[str, Floats]


def _measured(outcomes: Outcomes, forecast: Forecast, share: float, weights: Floats) -> _Measured:
    churned = int(outcomes.target.sum())
    if min(churned, outcomes.target.size - churned) < MIN_SEGMENT_CLASS:
        nothing = np.full(len(weights), np.nan)
        return _Measured(dict.fromkeys(METRICS, Estimate(None)), dict.fromkeys(METRICS, nothing))
    values = metrics.measure(outcomes, forecast, share)
    samples = metrics.measure_samples(outcomes, forecast, share, weights)
    return _Measured(metrics.estimates(values, samples), samples)
