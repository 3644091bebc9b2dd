"""Judge estimators side by side on the test rows, and decide which version serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.baselines import RECENCY
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
class Decision:
    """Whether a new version serves, why, and on what evidence."""

    is_publishable: bool
    promotes: bool
    from_version: int | None
    why: str
    evidence: str


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
    customers = int(outcomes.customer.max()) + 1
    weights = metrics.resample_customers(customers, samples, rng)
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


def decide(
    challenger: Estimate,
    difference: Estimate,
    *,
    baseline: str,
    champion: int | None,
    champion_precision: Estimate | None,
    is_other_training: bool,
) -> Decision:
    """Decide whether a new version is publishable and serves; the rule is in `train`.

    Parameters
    ----------
    challenger
        Average precision of the new version on its test rows.
    difference
        Its distance from the baseline, with the interval of the paired difference.
    baseline
        The baseline's name, for the words.
    champion, champion_precision
        The version that serves and its recorded average precision; None if there is none.
    is_other_training
        Whether the new version was trained on other gold rows or features.
    """
    evidence = (
        f"average precision {_written(challenger)}; difference from {baseline} "
        f"{_written(difference)}"
    )
    beats = difference.lower is not None and difference.lower > 0

    def decision(promotes: bool, why: str) -> Decision:
        return Decision(beats, promotes, champion, why, evidence)

    if not beats:
        return decision(False, f"the model does not beat {_spoken(baseline)}")
    if champion is None or champion_precision is None:
        return decision(True, f"the first model that beats {_spoken(baseline)}")
    evidence += f"; champion's average precision {_written(champion_precision)}"
    if not is_other_training:
        return decision(False, "trained on the same rows and features as the champion")
    floor = champion_precision.lower
    if floor is not None and (challenger.value is None or challenger.value < floor):
        return decision(False, "worse than the champion beyond the champion's interval")
    return decision(True, "trained on other rows or features and not worse than the champion")


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


def _written(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.lower:.3f}, {estimate.upper:.3f}]"


def _spoken(baseline: str) -> str:
    return "recency alone" if baseline == RECENCY else "the base rate"
