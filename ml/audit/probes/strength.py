"""How much a column tells of the target, from counts by level: pure functions.

`hits` counts the rows with the label and `sizes` all rows of each level, null last, both of shape
`(n_levels + 1,)`. Rows of one customer are no independent evidence, so bounds are drawn from
effective numbers of rows (`effective_size`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from ml.audit.probes.table import Bools, Column, Floats, Integers

FOLDS = 5
# A rate is drawn to the whole's as by so many rows more, so a level of few rows says little.
SMOOTHING = 20.0
# A set of fewer rows proves nothing, whatever it holds.
LEAST_ROWS = 10
# Halving 0 .. 1 so often leaves less than 1e-9.
_HALVINGS = 30


@dataclass(frozen=True)
class Interval:
    """A figure and its bounds."""

    value: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """Return `.812 [.790, .833]`."""
        value, lower, upper = (
            f"{each:.3f}".removeprefix("0") for each in (self.value, self.lower, self.upper)
        )
        return f"{value} [{lower}, {upper}]"


@dataclass(frozen=True)
class Outcome:
    """The classes of some rows, and whose rows they are.

    Attributes
    ----------
    target
        Whether the row has the label; shape `(n,)`.
    group
        Codes of the rows' customers; shape `(n,)`.
    fold
        0 .. FOLDS - 1, equal in all rows of one customer; shape `(n,)`.
    """

    target: Bools
    group: Integers
    fold: Integers

    @cached_property
    def hits(self) -> Integers:
        """The places of the rows with the label."""
        return np.flatnonzero(self.target)

    @cached_property
    def positives(self) -> float:
        """How many independent rows with the label there are."""
        return effective_size(self.group[self.target])

    @cached_property
    def negatives(self) -> float:
        """How many independent rows without it there are."""
        return effective_size(self.group[~self.target])

    @property
    def is_usable(self) -> bool:
        """Whether both classes are there."""
        return 0 < self.hits.size < self.target.size

    @property
    def rarer(self) -> float:
        """The share of the rarer class."""
        return min(self.hits.size, self.target.size - self.hits.size) / self.target.size

    @property
    def independent(self) -> float:
        """How many independent rows one row is worth, 0 to 1."""
        return (self.positives + self.negatives) / self.target.size


@dataclass(frozen=True)
class Separation:
    """A set of values that holds almost only the rarer class.

    Attributes
    ----------
    kind
        `value` (one value), `up_to`, `from`, `null` or `filled`.
    level
        The place of the value or threshold; -1 for null and filled.
    purity
        Share of the class among the set's rows.
    recall
        Share of the class's rows that the set holds.
    is_label
        Whether the class is the rows with the label.
    """

    kind: str
    level: int
    purity: Interval
    recall: float
    rows: int
    is_label: bool


def effective_size(group: Integers) -> float:
    """Return how many independent rows some rows are worth, from their customers' codes `(n,)`.

    Kish's `(sum w)^2 / sum w^2` over the customers' counts of rows w: as if the rows of one
    customer told the same story (Kish, Survey Sampling, 1965).

    Examples
    --------
    >>> effective_size(np.array([0, 1, 2])), effective_size(np.array([0, 0, 1, 1]))
    (3.0, 2.0)
    """
    if group.size == 0:
        return 0.0
    counts = np.bincount(group).astype(np.float64)
    return float(counts.sum() ** 2 / (counts**2).sum())


def tally(column: Column, outcome: Outcome) -> tuple[Floats, Floats]:
    """Return hits and sizes by level, null last."""
    length = len(column.levels) + 1
    hits = np.bincount(column.codes[outcome.hits], minlength=length)
    sizes = np.bincount(column.codes, minlength=length)
    return hits.astype(np.float64), sizes.astype(np.float64)


def rank_auc(hits: Floats, sizes: Floats) -> float:
    """Return the AUC of the order of the levels; rows of one level are tied.

    Examples
    --------
    >>> rank_auc(np.array([0.0, 1.0, 1.0]), np.array([2.0, 2.0, 1.0]))
    0.9166666666666666
    """
    misses = sizes - hits
    below = np.cumsum(misses) - misses
    pairs = hits.sum() * misses.sum()
    return float((hits * (below + misses / 2)).sum() / pairs) if pairs else 0.5


def shape_auc(column: Column, outcome: Outcome) -> float:
    """Return the AUC of the target rates of a column's bins, taken from the other folds.

    A level that the other folds never saw gets their overall rate, so an identifier ranks nothing.
    Each fold is ranked by itself: a fold with more churn than the others has lower rates from
    them, which would turn noise into an AUC below .5.
    """
    shape = (FOLDS, int(column.bins[-1]) + 1)
    cell = outcome.fold * shape[1] + column.bins[column.codes]
    sizes = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    hits = np.bincount(cell[outcome.hits], minlength=shape[0] * shape[1])
    hits = hits.reshape(shape).astype(np.float64)
    other_hits, other_sizes = hits.sum(axis=0) - hits, sizes.sum(axis=0) - sizes
    prior = other_hits.sum(axis=1, keepdims=True) / other_sizes.sum(axis=1, keepdims=True).clip(1)
    rates = (other_hits + SMOOTHING * prior) / (other_sizes + SMOOTHING)
    weighted = total = 0.0
    for fold_hits, fold_sizes, fold_rates in zip(hits, sizes, rates, strict=True):
        pairs = fold_hits.sum() * (fold_sizes.sum() - fold_hits.sum())
        if pairs:
            _, place = np.unique(fold_rates, return_inverse=True)
            by_rate = [np.bincount(place, each) for each in (fold_hits, fold_sizes)]
            auc = rank_auc(by_rate[0].astype(np.float64), by_rate[1].astype(np.float64))
            weighted, total = weighted + pairs * auc, total + pairs
    return weighted / total if total else 0.5


def own_auc(column: Column, outcome: Outcome, z: float) -> Interval:
    """Return a column's own AUC, at least .5: the best of its order and of its shape.

    The order is tried with null highest and lowest. The shape sees what no order shows: a value in
    the middle, a category.

    Parameters
    ----------
    column, outcome
        The column and the classes.
    z
        The normal quantile of the interval's level.
    """
    found = [shape_auc(column, outcome)]
    if column.is_ordered:
        hits, sizes = tally(column, outcome)
        for auc in (rank_auc(hits, sizes), rank_auc(np.roll(hits, 1), np.roll(sizes, 1))):
            found += [auc, 1 - auc]
    return auc_interval(max(0.5, *found), outcome, z)


def missing_auc(column: Column, outcome: Outcome, z: float) -> tuple[Interval, float, float]:
    """Return the AUC of being null, at least .5, and the null shares with and without the label."""
    hits, sizes = tally(column, outcome)
    with_label = float(hits[-1] / hits.sum())
    without = float((sizes[-1] - hits[-1]) / (sizes.sum() - hits.sum()))
    return auc_interval(0.5 + abs(with_label - without) / 2, outcome, z), with_label, without


def association(column: Column, outcome: Outcome) -> float:
    """Return Spearman's correlation with the target, -1 to 1, for a category Cramér's V, 0 to 1.

    With two classes Spearman's correlation is the AUC of the order in other units. V is corrected
    for its bias (Bergsma, Journal of the Korean Statistical Society 42, 2013, 323-328).
    """
    hits, sizes = tally(column, outcome)
    if column.is_ordered:
        hits, sizes = hits[:-1], sizes[:-1]
        rows, positives = sizes.sum(), hits.sum()
        tied = 1 - (sizes**3 - sizes).sum() / max(rows**3 - rows, 1)
        if not 0 < positives < rows or tied <= 0:
            return 0.0
        spread = np.sqrt(12 * (positives / rows) * (1 - positives / rows) / tied)
        return float((rank_auc(hits, sizes) - 0.5) * spread)
    hits, sizes, rows = hits[sizes > 0], sizes[sizes > 0], sizes.sum()
    rate = hits.sum() / rows
    phi = ((hits - sizes * rate) ** 2 / (sizes * rate * (1 - rate))).sum() / rows
    apart = max(0.0, phi - (hits.size - 1) / (rows - 1))
    across = min(hits.size - (hits.size - 1) ** 2 / (rows - 1), 2 - 1 / (rows - 1)) - 1
    return float(np.sqrt(apart / across)) if across > 0 else 0.0


def separations(
    column: Column, outcome: Outcome, tail: float, *, purity: float
) -> list[Separation]:
    """Return the largest set of values of each kind that is so pure in the rarer class.

    Looked at are every value alone, for an ordered column everything up to and from every value,
    null, and everything that is not null.

    Parameters
    ----------
    column, outcome
        The column and the classes.
    tail
        Error of one side of the bounds, shared by all sets of this column.
    purity
        What the lower bound of a set's purity must reach.
    """
    hits, sizes = tally(column, outcome)
    is_label = outcome.hits.size * 2 <= outcome.target.size
    hits = hits if is_label else sizes - hits
    values, counts = hits[:-1], sizes[:-1]
    sets = {"value": (values, counts)}
    if column.is_ordered:
        sets["up_to"] = np.cumsum(values), np.cumsum(counts)
        sets["from"] = np.cumsum(values[::-1])[::-1], np.cumsum(counts[::-1])[::-1]
    if sizes[-1]:
        sets["null"] = hits[-1:], sizes[-1:]
        sets["filled"] = values.sum(keepdims=True), counts.sum(keepdims=True)
    looked_at = sum(int((size >= LEAST_ROWS).sum()) for _, size in sets.values())
    found = []
    for kind, (hit, size) in sets.items():
        likely = np.flatnonzero((size >= LEAST_ROWS) & (hit >= purity * size))
        bounds = _share_bounds(
            hit[likely], size[likely], outcome.independent, tail / max(looked_at, 1)
        )
        pure = np.flatnonzero(bounds[0] >= purity)
        if pure.size:
            best = pure[np.argmax(hit[likely[pure]])]
            at = int(likely[best])
            found.append(
                Separation(
                    kind=kind,
                    level=-1 if kind in ("null", "filled") else at,
                    purity=Interval(
                        float(hit[at] / size[at]), float(bounds[0][best]), float(bounds[1][best])
                    ),
                    recall=float(hit[at] / hits.sum()),
                    rows=int(size[at]),
                    is_label=is_label,
                )
            )
    return found


def copy_errors(column: Column, outcome: Outcome, tail: float) -> Interval | None:
    """Return the share of rows in which a column of two values, null one, is not the target.

    Either value may stand for the label. None for a column of fewer or more values.
    """
    hits, sizes = tally(column, outcome)
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    if sizes.size != 2:
        return None
    wrong = float(min(hits[0] + sizes[1] - hits[1], hits[1] + sizes[0] - hits[0]))
    rows = outcome.target.size
    lower, upper = _share_bounds(np.array([wrong]), np.array([rows]), outcome.independent, tail)
    return Interval(wrong / rows, float(lower[0]), float(upper[0]))


def auc_interval(auc: float, outcome: Outcome, z: float) -> Interval:
    """Return an AUC with its interval, which has a width even at an AUC of 1.

    Newcombe's method 5: the score interval on Hanley and McNeil's variance with equal sizes of
    the classes in its bracket (Newcombe, Statistics in Medicine 25, 2006, 559-573).
    """
    positives, negatives = outcome.positives, outcome.negatives
    half = (positives + negatives) / 2 - 1

    def is_inside(theta: float) -> bool:
        spread = 1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return (auc - theta) ** 2 <= z**2 * variance

    bounds = []
    for end in (0.0, 1.0):
        inside, outside = auc, end
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
        bounds.append(inside)
    return Interval(auc, bounds[0], bounds[1])


def _share_bounds(
    hits: Floats, sizes: NDArray[np.floating], independent: float, tail: float
) -> tuple[Floats, Floats]:
    """Return Clopper and Pearson's bounds of shares, with one error on each side."""
    hits, misses = independent * hits, independent * (sizes - hits)
    lower = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1e-12), misses + 1), 0.0)
    upper = np.where(misses > 0, beta.ppf(1 - tail, hits + 1, np.maximum(misses, 1e-12)), 1.0)
    return lower, upper
