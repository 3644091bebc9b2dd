"""How well churn is ranked and how true the probabilities are: pure functions on arrays.

Conventions shared by every function here:

- `target` is 1 for churn and 0 for none, `score` rises with risk, both of shape `(n,)`.
- `weight` repeats rows: shape `(n,)`, or `(n_samples, n)` to judge many resamples at once, in
  which case the result has shape `(n_samples,)`. None means each row once.
- The top share is `share * total weight` rows, cut exactly: where the cut falls inside a group of
  equal scores (or inside a row), the group counts in proportion. That is the expected value over
  all orders of the tied rows, so no result depends on the order of the rows.
- A value that does not exist (no churn, say) is nan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ml.resampling import over_samples

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# A figure of some rows by their weights, `(n,)` or `(n_samples, n)`; None: each row once.
Figure = Callable[[Floats | None], Floats]

AVERAGE_PRECISION = "average_precision"
ROC_AUC = "roc_auc"
PRECISION = "precision_at_capacity"
RECALL = "recall_at_capacity"
LIFT = "lift_at_capacity"
BRIER = "brier"
CALIBRATION_ERROR = "calibration_error"
CALIBRATION_BEFORE = "calibration_error_before"
LEAD_TIME = "lead_time_days"
REVENUE_CAUGHT = "revenue_caught_ratio"
METRICS = (
    AVERAGE_PRECISION,
    ROC_AUC,
    PRECISION,
    RECALL,
    LIFT,
    BRIER,
    CALIBRATION_ERROR,
    CALIBRATION_BEFORE,
    LEAD_TIME,
    REVENUE_CAUGHT,
)

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Outcomes:
    """What happened to the judged rows, each array of shape `(n,)`.

    Attributes
    ----------
    target
        1 for churn in the horizon, else 0.
    days_to_churn
        Whole days from `as_of_date` to the churn; nan for rows without churn.
    monthly_revenue
        Money at stake, at least 0.
    customer
        Codes 0 .. n_customers - 1 of the rows' customers: the unit of resampling.
    """

    target: Floats
    days_to_churn: Floats
    monthly_revenue: Floats
    customer: Integers

    def at(self, rows: NDArray[np.bool_] | Integers) -> "Outcomes":
        """Return the outcomes of some rows, by mask or number; customers keep their codes."""
        return Outcomes(
            self.target[rows],
            self.days_to_churn[rows],
            self.monthly_revenue[rows],
            self.customer[rows],
        )


@dataclass(frozen=True)
class Forecast:
    """What one estimator said of the rows: a score that ranks and a probability.

    Attributes
    ----------
    uncalibrated
        The probability before it was calibrated; None where nothing calibrates.
    """

    score: Floats
    probability: Floats
    uncalibrated: Floats | None = None

    def at(self, rows: NDArray[np.bool_] | Integers) -> "Forecast":
        """Return the forecast of some rows, by mask or number."""
        before = None if self.uncalibrated is None else self.uncalibrated[rows]
        return Forecast(self.score[rows], self.probability[rows], before)


@dataclass(frozen=True)
class Estimate:
    """A metric's value and the bounds of its interval; None where it does not exist."""

    value: float | None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Rows in falling order of score, and where each group of equal scores ends.

    Attributes
    ----------
    order
        Row numbers, highest score first, of shape `(n,)`.
    ends
        Position in `order` of the last row of each group, of shape `(n_groups,)`.
    """

    order: Integers
    ends: Integers


@dataclass(frozen=True)
class Cumulated:
    """Weight of all rows and of churners down to the end of each group, `(..., n_groups)`."""

    rows: Floats
    churned: Floats


def rank(score: Floats) -> Ranking:
    """Order rows by falling score.

    Raises
    ------
    ValueError
        If there is no row or a score is nan.
    """
    if score.size == 0:
        raise ValueError("no row to rank")
    if np.isnan(score).any():
        raise ValueError("a score is nan")
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), score.size - 1)
    return Ranking(order, ends)


def cumulate(ranking: Ranking, target: Floats, weight: Floats) -> Cumulated:
    """Add weights up along the ranking, to the end of each group."""
    return _cumulated(weight[..., ranking.order], target[ranking.order], ranking.ends)


def average_precision(target: Floats, score: Floats, weight: Floats | None = None) -> Floats:
    """Return the average precision: precision weighted by the gain in recall, no interpolation.

    The sum over groups of equal score of `(recall - recall before) * precision`, as scikit-learn
    defines it.

    Examples
    --------
    >>> average_precision(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.8, 0.7])).round(4)
    np.float64(0.8333)
    """
    return average_precision_of(target, score)(weight)


def average_precision_of(target: Floats, score: Floats) -> Figure:
    """Return `average_precision` as a figure of weights alone: the rows are ranked once."""
    return _along_ranking(_average_precision, target, score)


def roc_auc(target: Floats, score: Floats, weight: Floats | None = None) -> Floats:
    """Return the chance that a churner scores above another row; a tie counts one half."""
    return roc_auc_of(target, score)(weight)


def roc_auc_of(target: Floats, score: Floats) -> Figure:
    """Return `roc_auc` as a figure of weights alone: the rows are ranked once."""
    return _along_ranking(_roc_auc, target, score)


def precision_at(
    target: Floats, score: Floats, share: float, weight: Floats | None = None
) -> Floats:
    """Return the share of churners among the top `share` of the rows."""
    down = cumulate(rank(score), target, _weight(target, weight))
    return _ratio(_caught(down, down.churned, share), share * down.rows[..., -1])


def recall_at(target: Floats, score: Floats, share: float, weight: Floats | None = None) -> Floats:
    """Return the share of all churners who are in the top `share` of the rows."""
    down = cumulate(rank(score), target, _weight(target, weight))
    return _ratio(_caught(down, down.churned, share), down.churned[..., -1])


def lift_at(target: Floats, score: Floats, share: float, weight: Floats | None = None) -> Floats:
    """Return precision at the top `share` over the churn rate of all rows."""
    return _ratio(recall_at(target, score, share, weight), share)


def brier(target: Floats, probability: Floats, weight: Floats | None = None) -> Floats:
    """Return the mean squared distance of the probability from what happened (0 best)."""
    weight = _weight(target, weight)
    return _brier(target, probability, weight, weight.sum(axis=-1))


def calibration_error(
    target: Floats,
    probability: Floats,
    weight: Floats | None = None,
    *,
    bins: int = CALIBRATION_BINS,
) -> Floats:
    """Return the expected calibration error: mean distance of forecast and rate over bins.

    Bins hold about equally many rows in order of probability; equal probabilities stay in one
    bin. With few rows the error is biased upward, since noise alone moves a bin's rate.
    """
    weight = _weight(target, weight)
    return _binned(target, probability, bins).error(weight, weight.sum(axis=-1))


def lead_time(
    target: Floats,
    score: Floats,
    days_to_churn: Floats,
    share: float,
    weight: Floats | None = None,
) -> Floats:
    """Return the median days from as-of date to churn among churners in the top `share`."""
    ranking = rank(score)
    order, ends = ranking.order, ranking.ends
    ordered = _weight(target, weight)[..., order]
    down = _cumulated(ordered, target[order], ends)
    return _lead_time(ordered, down, target[order], days_to_churn[order], ends, share)


def revenue_caught(
    target: Floats,
    score: Floats,
    monthly_revenue: Floats,
    share: float,
    weight: Floats | None = None,
) -> Floats:
    """Return the share of the churners' monthly revenue that the top `share` of rows holds."""
    return revenue_caught_of(target, score, monthly_revenue, share)(weight)


def revenue_caught_of(
    target: Floats, score: Floats, monthly_revenue: Floats, share: float
) -> Figure:
    """Return `revenue_caught` as a figure of weights alone: the rows are ranked once."""
    ranking = rank(score)
    order, ends = ranking.order, ranking.ends
    churned, lost = target[order], (target * monthly_revenue)[order]

    def figure(weight: Floats | None) -> Floats:
        ordered = _weight(target, weight)[..., order]
        down = _cumulated(ordered, churned, ends)
        return _revenue_caught(ordered, down, lost, ends, share)

    return figure


def measure(
    outcomes: Outcomes, forecast: Forecast, share: float, weight: Floats | None = None
) -> dict[str, Floats]:
    """Return every metric of `METRICS` with one sort of the rows.

    Raises
    ------
    ValueError
        If there is no row or a score is nan.
    """
    lined = _line_up(outcomes, forecast)
    return _measured(lined, share, _weight(outcomes.target, weight)[..., lined.order])


def resample_customers(customers: int, samples: int, rng: np.random.Generator) -> Floats:
    """Draw how often each customer counts in each bootstrap sample, `(samples, customers)`.

    Customers, not rows, are drawn: the rows of one customer at several dates are no independent
    evidence.
    """
    return rng.multinomial(customers, np.full(customers, 1 / customers), samples).astype(np.float64)


def draw_customers(outcomes: Outcomes, samples: int, rng: np.random.Generator) -> Floats:
    """Draw how often each customer of some rows counts, as `resample_customers` does."""
    return resample_customers(int(outcomes.customer.max()) + 1, samples, rng)


@dataclass(frozen=True)
class Sampled:
    """A figure, and what it is on each bootstrap sample, `(n_samples,)`."""

    value: float
    samples: Floats

    @property
    def estimate(self) -> Estimate:
        """The figure with its interval."""
        return estimate(self.value, self.samples)

    def less(self, other: "Sampled") -> Estimate:
        """Return how far it lies above another, measured on the same samples: paired."""
        return estimate(self.value - other.value, self.samples - other.samples)


def sampled(figure: Figure, customer: Integers, customer_weights: Floats) -> Sampled:
    """Return a figure of some rows, and what it is on every bootstrap sample.

    Parameters
    ----------
    figure
        It is called for a few samples at a time, so nothing but what weights change belongs there.
    customer
        Codes of the rows' customers, `(n,)`.
    customer_weights
        How often each customer counts in each sample, `(n_samples, n_customers)`.
    """
    parts = over_samples(figure, customer, customer_weights)
    return Sampled(float(figure(None)), np.concatenate(parts))


def measure_samples(
    outcomes: Outcomes, forecast: Forecast, share: float, customer_weights: Floats
) -> dict[str, Floats]:
    """Return every metric on every bootstrap sample, each of shape `(n_samples,)`.

    Two estimators judged with the same `customer_weights` are paired: the difference of their
    results has the interval of the difference.
    """
    lined = _line_up(outcomes, forecast)
    parts = over_samples(
        partial(_measured, lined, share), lined.outcomes.customer, customer_weights
    )
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in METRICS}


def estimates(
    values: Mapping[str, Floats], samples: Mapping[str, Floats], *, level: float = 0.95
) -> dict[str, Estimate]:
    """Join values with the percentile intervals of their bootstrap samples."""
    return {metric: estimate(values[metric], samples[metric], level=level) for metric in values}


def estimate(value: Floats | float, samples: Floats, *, level: float = 0.95) -> Estimate:
    """Return a value with the percentile interval of its bootstrap samples."""
    if not np.isfinite(value):
        return Estimate(None)
    known = samples[np.isfinite(samples)]
    if known.size == 0:
        return Estimate(float(value))
    tail = (1 - level) / 2
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return Estimate(float(value), float(lower), float(upper))


def calibration_bins(probability: Floats, bins: int) -> tuple[Integers, Integers]:
    """Return rows in rising order of probability, and the position where each bin starts."""
    order = np.argsort(probability, kind="stable")
    ordered = probability[order]
    starts = np.arange(bins) * order.size // bins
    # A bin starts where its first row's value starts, so that equal values stay together.
    return order, np.unique(np.searchsorted(ordered, ordered[starts], side="left"))


@dataclass(frozen=True)
class _Bins:
    """Rows by rising probability, cut into bins; all of it independent of weights.

    Attributes
    ----------
    order
        Row numbers, or the slice that turns the rows around.
    starts
        Position in the order where each bin starts.
    distance
        Probability less what happened, in the order.
    """

    order: Integers | slice
    starts: Integers
    distance: Floats

    def error(self, weight: Floats, total: Floats) -> Floats:
        """Return the mean distance of forecast and rate over the bins; `total` is all weight."""
        distance = np.add.reduceat(weight[..., self.order] * self.distance, self.starts, axis=-1)
        return _ratio(np.abs(distance).sum(axis=-1), total)


@dataclass(frozen=True)
class _Lined:
    """Rows by falling score, and what of their measuring does not depend on weights.

    Attributes
    ----------
    order
        The numbers that the rows had.
    ends
        Where groups end; see `_joined`.
    before
        Bins by the probability before calibration; None where nothing calibrates.
    """

    order: Integers
    ends: Integers
    outcomes: Outcomes
    forecast: Forecast
    bins: _Bins
    before: _Bins | None


def _line_up(outcomes: Outcomes, forecast: Forecast) -> _Lined:
    ranking = _joined(rank(forecast.score), outcomes.target)
    outcomes, forecast = outcomes.at(ranking.order), forecast.at(ranking.order)
    before = forecast.uncalibrated
    return _Lined(
        order=ranking.order,
        ends=ranking.ends,
        outcomes=outcomes,
        forecast=forecast,
        bins=_binned(outcomes.target, forecast.probability, CALIBRATION_BINS),
        before=None if before is None else _binned(outcomes.target, before, CALIBRATION_BINS),
    )


def _measured(lined: _Lined, share: float, ordered: Floats) -> dict[str, Floats]:
    """Return every metric, by weights in the order of the rows that are lined up."""
    outcomes, ends = lined.outcomes, lined.ends
    target = outcomes.target
    down = _cumulated(ordered, target, ends)
    caught = _caught(down, down.churned, share)
    recall = _ratio(caught, down.churned[..., -1])
    total = down.rows[..., -1]
    return {
        AVERAGE_PRECISION: _average_precision(down),
        ROC_AUC: _roc_auc(down),
        PRECISION: _ratio(caught, share * total),
        RECALL: recall,
        LIFT: _ratio(recall, share),
        BRIER: _brier(target, lined.forecast.probability, ordered, total),
        CALIBRATION_ERROR: lined.bins.error(ordered, total),
        CALIBRATION_BEFORE: (
            np.full(ordered.shape[:-1], np.nan)[()]
            if lined.before is None
            else lined.before.error(ordered, total)
        ),
        LEAD_TIME: _lead_time(ordered, down, target, outcomes.days_to_churn, ends, share),
        REVENUE_CAUGHT: _revenue_caught(
            ordered, down, target * outcomes.monthly_revenue, ends, share
        ),
    }


def _weight(target: Floats, weight: Floats | None) -> Floats:
    return np.ones(target.shape) if weight is None else weight


def _binned(target: Floats, probability: Floats, bins: int) -> _Bins:
    order, starts = calibration_bins(probability, bins)
    if np.all(probability[:-1] >= probability[1:]):
        # To turn rows around costs nothing, to fetch each by its number most of the time.
        return _Bins(slice(None, None, -1), starts, (probability - target)[::-1])
    return _Bins(order, starts, (probability - target)[order])


def _joined(ranking: Ranking, target: Floats) -> Ranking:
    """Join groups without churn that follow each other into one.

    No figure of the churners depends on where between two of them such a group ends, and where
    few churn that leaves few groups.
    """
    churned = np.cumsum(target[ranking.order])[ranking.ends]
    has_churn = np.diff(churned, prepend=0) > 0
    return Ranking(ranking.order, ranking.ends[has_churn | np.append(has_churn[1:], True)])


def _along_ranking(of: Callable[[Cumulated], Floats], target: Floats, score: Floats) -> Figure:
    ranking = _joined(rank(score), target)
    return lambda weight: of(cumulate(ranking, target, _weight(target, weight)))


def _cumulated(ordered: Floats, target: Floats, ends: Integers) -> Cumulated:
    starts = np.append(0, ends[:-1] + 1)
    return Cumulated(
        rows=np.cumsum(np.add.reduceat(ordered, starts, axis=-1), axis=-1),
        churned=_added_up(ordered, target, ends),
    )


def _added_up(ordered: Floats, amount: Floats, ends: Integers) -> Floats:
    """Add an amount up to the end of each group; most rows have none of it."""
    rows = np.flatnonzero(amount)
    summed = np.cumsum(ordered[..., rows] * amount[rows], axis=-1)
    none = np.zeros((*ordered.shape[:-1], 1))
    count = np.searchsorted(rows, ends, side="right")
    return np.concatenate([none, summed], axis=-1)[..., count]


def _ratio(numerator: Floats, denominator: Floats | float) -> Floats:
    above, below = np.broadcast_arrays(numerator, denominator)
    result = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result[()]


def _brier(target: Floats, probability: Floats, weight: Floats, total: Floats) -> Floats:
    return _ratio(weight @ np.square(probability - target), total)


def _before(down: Floats) -> Floats:
    return np.concatenate([np.zeros((*down.shape[:-1], 1)), down[..., :-1]], axis=-1)


def _average_precision(down: Cumulated) -> Floats:
    precision = np.divide(
        down.churned, down.rows, out=np.zeros(down.rows.shape), where=down.rows > 0
    )
    gained = down.churned - _before(down.churned)
    return _ratio((gained * precision).sum(axis=-1), down.churned[..., -1])


def _roc_auc(down: Cumulated) -> Floats:
    retained = down.rows - down.churned
    before = _before(retained)
    below_or_half = retained[..., -1:] - (before + retained) / 2
    gained = down.churned - _before(down.churned)
    return _ratio((gained * below_or_half).sum(axis=-1), down.churned[..., -1] * retained[..., -1])


def _cut(down: Cumulated, share: float) -> tuple[Integers, Floats]:
    """Return the group that the top share ends in, and the part of that group inside it."""
    capacity = share * down.rows[..., -1:]
    group = np.minimum((down.rows < capacity).sum(axis=-1), down.rows.shape[-1] - 1)
    at = group[..., None]
    start = np.take_along_axis(_before(down.rows), at, axis=-1)
    size = np.take_along_axis(down.rows, at, axis=-1) - start
    part = np.divide(capacity - start, size, out=np.zeros(size.shape), where=size > 0)
    return group, np.clip(part, 0, 1)[..., 0]


def _caught(down: Cumulated, amount: Floats, share: float) -> Floats:
    group, part = _cut(down, share)
    at = group[..., None]
    start = np.take_along_axis(_before(amount), at, axis=-1)[..., 0]
    end = np.take_along_axis(amount, at, axis=-1)[..., 0]
    caught: Floats = start + part * (end - start)
    return caught


def _revenue_caught(
    ordered: Floats, down: Cumulated, lost: Floats, ends: Integers, share: float
) -> Floats:
    """Return the part of the lost revenue that the top share holds; rows by falling score."""
    total = _added_up(ordered, lost, ends)
    return _ratio(_caught(down, total, share), total[..., -1])


def _lead_time(
    ordered: Floats,
    down: Cumulated,
    target: Floats,
    days_to_churn: Floats,
    ends: Integers,
    share: float,
) -> Floats:
    """Return the median days ahead of the churners in the top share; rows by falling score."""
    churned = np.flatnonzero((target > 0) & np.isfinite(days_to_churn))
    if churned.size == 0:
        return np.full(ordered.shape[:-1], np.nan)[()]
    churned = churned[np.argsort(days_to_churn[churned], kind="stable")]
    group_of_row = np.searchsorted(ends, churned)
    group, part = _cut(down, share)
    group, part = group[..., None], part[..., None]
    inside = np.where(group_of_row == group, part, group_of_row < group)
    return _weighted_median(days_to_churn[churned], ordered[..., churned] * inside)


def _weighted_median(rising: Floats, weight: Floats) -> Floats:
    """Return the median of rising values; between two values, their middle (as `np.median`)."""
    below = np.cumsum(weight, axis=-1)
    half = below[..., -1:] / 2
    slack = 1e-9 * below[..., -1:]
    last = rising.size - 1
    lower = np.minimum((below < half - slack).sum(axis=-1), last)
    upper = np.minimum((below <= half + slack).sum(axis=-1), last)
    median = (rising[lower] + rising[upper]) / 2
    return np.where(below[..., -1] > 0, median, np.nan)[()]
