"""Where a model is weak: who is missed more, and whose probabilities are off, by segment.

Pure functions on arrays. A churned customer is missed where the row lies outside the share of all
test rows that a team can call. Intervals are percentiles of a bootstrap by customer; the list of
those called is held as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.judge import MIN_SEGMENT_CLASS
from ml.metrics import Estimate, Forecast, Outcomes

Floats = NDArray[np.float64]
Words = NDArray[np.object_]

OTHERS = "others"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class SegmentReport:
    """One segment of the test rows.

    Attributes
    ----------
    called_share
        Share of its rows inside the capacity.
    missed
        Share of its churned rows outside the capacity: the false negative rate; without a value
        where fewer than ten rows churned.
    missed_beyond_others
        How much greater that share is than among all other churned rows.
    forecast, happened
        Mean probability, and the share that churned.
    bias
        Forecast less happened; above 0 the probabilities are too high.
    """

    kind: str
    segment: str
    observations: int
    churned: int
    called_share: float
    missed: Estimate
    missed_beyond_others: Estimate
    forecast: float
    happened: float
    bias: Estimate

    @property
    def is_missed_more(self) -> bool:
        """Whether the whole interval says that its churned rows are missed more than others'."""
        lower = self.missed_beyond_others.lower
        return lower is not None and lower > 0

    @property
    def is_biased(self) -> bool:
        """Whether the whole interval says that its probabilities are too high, or too low."""
        lower, upper = self.bias.lower, self.bias.upper
        return lower is not None and upper is not None and (lower > 0 or upper < 0)


def called(score: Floats, share: float) -> Floats:
    """Return how much of each row lies in the top `share`, 0 to 1, of shape `(n,)`.

    Rows of equal score that the cut falls between lie in it in equal part.

    Examples
    --------
    >>> called(np.array([0.1, 0.9, 0.5, 0.5]), 0.5).tolist()
    [0.0, 1.0, 0.5, 0.5]
    """
    ranking = metrics.rank(score)
    sizes = np.diff(ranking.ends, prepend=-1)
    before = ranking.ends + 1 - sizes
    inside = np.clip((share * score.size - before) / sizes, 0, 1)
    result = np.empty(score.size)
    result[ranking.order] = np.repeat(inside, sizes)
    return result


def by_segment(
    outcomes: Outcomes,
    forecast: Forecast,
    segments: Mapping[str, Words],
    *,
    share: float,
    samples: int,
    rng: np.random.Generator,
) -> tuple[SegmentReport, ...]:
    """Return a report of every segment of every kind, in the order of kinds and of names.

    Parameters
    ----------
    segments
        Kind to the segment of each row, `(n,)`.
    share
        The share of rows that can be called.
    samples
        How many bootstrap samples.
    """
    customers = int(outcomes.customer.max()) + 1
    weights = metrics.draw_customers(outcomes, samples, rng)
    inside = called(forecast.score, share)
    target = outcomes.target

    def totals(values: Floats) -> Floats:
        """Return the sum of values in the data and then in every sample, `(1 + n_samples,)`."""
        by_customer = np.bincount(outcomes.customer, weights=values, minlength=customers)
        return np.concatenate([[by_customer.sum()], weights @ by_customer])

    found = []
    for kind, words in segments.items():
        for segment in sorted(set(words)):
            rows = (words == segment).astype(np.float64)
            churned = totals(target * rows)
            missed = _ratio(totals(target * rows * (1 - inside)), churned)
            elsewhere = _ratio(
                totals(target * (1 - rows) * (1 - inside)), totals(target * (1 - rows))
            )
            count = totals(rows)
            bias = _ratio(totals((forecast.probability - target) * rows), count)
            is_enough = churned[0] >= MIN_SEGMENT_CLASS
            # A segment that is nearly all rows has no others to be held against.
            has_others = target.sum() - churned[0] >= MIN_SEGMENT_CLASS
            found.append(
                SegmentReport(
                    kind=kind,
                    segment=segment,
                    observations=int(count[0]),
                    churned=int(churned[0]),
                    called_share=float((inside * rows).sum() / count[0]),
                    missed=_estimate(missed) if is_enough else Estimate(None),
                    missed_beyond_others=(
                        _estimate(missed - elsewhere)
                        if is_enough and has_others
                        else Estimate(None)
                    ),
                    forecast=float((forecast.probability * rows).sum() / count[0]),
                    happened=float(churned[0] / count[0]),
                    bias=_estimate(bias) if is_enough else Estimate(None),
                )
            )
    return tuple(found)


def merge_rare(words: Words, most: int) -> Words:
    """Return segments with all but the `most` frequent put together, and null named.

    Examples
    --------
    >>> merge_rare(np.array(["us", "us", "fr", "de", None], dtype=object), 1).tolist()
    ['us', 'us', 'others', 'others', 'unknown']
    """
    named = np.array([UNKNOWN if word is None else str(word) for word in words], dtype=object)
    values, counts = np.unique(named[named != UNKNOWN], return_counts=True)
    kept = {str(values[at]) for at in np.lexsort((values, -counts))[:most]} | {UNKNOWN}
    return np.array([word if word in kept else OTHERS for word in named], dtype=object)


def _ratio(parts: Floats, wholes: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(wholes > 0, parts / wholes, np.nan))


def _estimate(values: Floats) -> Estimate:
    return metrics.estimate(values[0], values[1:])
