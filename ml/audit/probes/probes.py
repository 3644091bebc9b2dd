"""The probes of one column: each asks one question and answers with a suspicion or with nothing.

Every line is held against the lower end of an interval, never against the figure itself, and all
intervals of one report hold together with 95 % (`Bounds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy.stats import norm

from ml.audit.findings import Severity
from ml.audit.probes.names import hint
from ml.audit.probes.strength import (
    FOLDS,
    Interval,
    Outcome,
    Separation,
    association,
    copy_errors,
    missing_auc,
    own_auc,
    separations,
)
from ml.audit.probes.table import Bools, Column, Integers, Table, column_of

LEVEL = 0.95
# Intervals that one feature is looked at through: own AUC, missingness, separation, copy, and the
# history or the dates. All features' share the error.
LOOKS = 5
# One feature's AUC, by its lower bound. The strongest honest single feature of the public data is
# CDNOW's recency with .795; the strongest of undated ones is the retailer's eopenrate with .807
# [.796, .817]. What is above .80 needs a reason, what is above .90 a proof.
AUC_CRITICAL = 0.90
AUC_WARNING = 0.80
# Null or not, as an AUC: .80 is a difference of 60 points between the classes, .70 of 40. The
# strongest honest one measured is order_gap_days_avg of UCI with .667: one order has no gap.
MISSING_CRITICAL = 0.80
MISSING_WARNING = 0.70
# A change right after the label, which honest features show too: a customer who stops to buy grows
# silent. The strongest honest one measured is order_recency_ratio of UCI with .820.
AFTERMATH_WARNING = 0.90
NEVER = 2.0
# A set of values nearly all of the rarer class, and how much of that class it must hold to matter.
PURITY_CRITICAL = 0.90
PURITY_WARNING = 0.80
RECALL_CRITICAL = 0.50
RECALL_WARNING = 0.10
# A column filled for one class alone tells by being there, so a smaller part of it is enough.
RECALL_FILLED_CRITICAL = 0.05
# A copy of the target: wrong in at most 2 % of the rows, and in at most a tenth as many rows as
# the rarer class has, or "nobody churns" would be a copy.
COPY_ERRORS = 0.02
COPY_ERRORS_OF_RARER = 0.10
# A date later than the row's own, for this share of the rows; below, it is a fault of typing.
LATER_SHARE = 0.01
# Attributes that change for fewer customers are as good as fixed.
MOVING_SHARE = 0.01

# What no labels change, so that shuffles of the labels cannot set it off.
UNLABELLED = ("target", "name", "contract")

OWN_AUC = "own_auc"
FROM_THE_START = "known_from_the_start"
WITH_LABEL = "changes_with_label"
AFTER_LABEL = "changes_after_label"
# The probes that hold an AUC against two lines: critical, warning, and what it means.
_BY_AUC: tuple[tuple[str, float, float, str], ...] = (
    (
        OWN_AUC,
        AUC_CRITICAL,
        AUC_WARNING,
        "Alone it ranks the target with an AUC of {auc}; honest single features stay near .80 or "
        "below. Prove that it was known before the label.",
    ),
    (
        FROM_THE_START,
        AUC_CRITICAL,
        AUC_WARNING,
        "It never changes for a customer, yet in the first row already it tells who will ever have "
        "the label (AUC {auc}), as a value of today written into the past does.",
    ),
    (
        WITH_LABEL,
        AUC_CRITICAL,
        AUC_WARNING,
        "Its change since the customer's row before tells the label (AUC {auc}): it is written "
        "when the label is, not before.",
    ),
    (
        AFTER_LABEL,
        NEVER,
        AFTERMATH_WARNING,
        "It changes right after the label (AUC {auc}), so it records what came of it. Where such a "
        "value is written into earlier rows, it is a leak.",
    ),
)


@dataclass(frozen=True)
class Suspicion:
    """What one probe suspects of one column.

    Attributes
    ----------
    feature
        The column.
    probe
        Which probe asked.
    finding
        What was found and why it matters, in words.
    evidence
        The figures behind it.
    """

    feature: str
    probe: str
    severity: Severity
    finding: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bounds:
    """How sure every interval is, so that all of a report hold together.

    Attributes
    ----------
    tail
        The error of one side.
    z
        Its normal quantile.
    """

    tail: float
    z: float

    @classmethod
    def over(cls, columns: int) -> Bounds:
        """Divide the error among all that is looked at (Bonferroni)."""
        tail = (1 - LEVEL) / (2 * LOOKS * columns)
        return cls(tail, float(norm.ppf(1 - tail)))


@dataclass(frozen=True)
class Figures:
    """The figures of one column, suspicious or not.

    Attributes
    ----------
    nulls
        Share of rows without a value.
    values
        How many different values there are.
    auc
        Its own AUC, at least .5.
    association
        Spearman's correlation with the target; Cramér's V for a category.
    """

    feature: str
    kind: str
    nulls: float
    values: int
    auc: Interval
    association: float


@dataclass(frozen=True)
class Look:
    """Rows that probes look at, with their customers and folds; shared by all labellings."""

    rows: Integers
    group: Integers
    fold: Integers


def looks_of(table: Table, rng: np.random.Generator) -> dict[str, Look]:
    """Return the rows of each probe: all, and where customers have a history its ends.

    Customers are dealt to folds by chance.
    """
    fold = (rng.permutation(table.customers) % FOLDS)[table.group]
    rows = {OWN_AUC: np.arange(table.group.size)}
    history = table.history
    if history is not None:
        rows |= {
            FROM_THE_START: history.first,
            # All steps, not those that begin without the label: with overlapping horizons "no label
            # then" tells what has come since.
            WITH_LABEL: history.after,
            AFTER_LABEL: history.before,
        }
    return {name: Look(at, table.group[at], fold[at]) for name, at in rows.items()}


def outcomes_of(table: Table, target: Bools, looks: Mapping[str, Look]) -> dict[str, Outcome]:
    """Return what one labelling makes of each look; those with one class only are left out.

    At a customer's first row it is whether the customer ever gets the label.
    """
    ever = np.bincount(table.group, target) > 0
    found = {
        name: Outcome(
            ever[look.group] if name == FROM_THE_START else target[look.rows],
            look.group,
            look.fold,
        )
        for name, look in looks.items()
    }
    return {name: outcome for name, outcome in found.items() if outcome.is_usable}


def views_of(column: Column, table: Table) -> dict[str, Column]:
    """Return a column as it is looked at, by the probe that does.

    All its values; where customers have a history also its value in each customer's first row, if
    they keep it, or else its change in each step: of a number the difference, infinite where it
    appears or disappears; of a category whether it is another one.
    """
    history = table.history
    if history is None:
        return {OWN_AUC: column}
    moved = column.codes[history.before] != column.codes[history.after]
    movers = np.unique(table.group[history.after][moved]).size
    if movers <= MOVING_SHARE * history.first.size:
        return {OWN_AUC: column, FROM_THE_START: column.at(history.first)}
    change = moved.astype(np.float64)
    if column.is_ordered:
        before, after = column.values[history.before], column.values[history.after]
        change = after - before
        change[np.isnan(before) & np.isnan(after)] = 0.0
        change[np.isnan(before) & ~np.isnan(after)] = np.inf
        change[~np.isnan(before) & np.isnan(after)] = -np.inf
    changes = column_of(column.name, change, "number")
    return {OWN_AUC: column, WITH_LABEL: changes, AFTER_LABEL: changes}


def suspect(
    views: Mapping[str, Column], outcomes: Mapping[str, Outcome], table: Table, bounds: Bounds
) -> list[Suspicion]:
    """Return what the figures, the name and the contract of a column make suspicious."""
    column, outcome = views[OWN_AUC], outcomes[OWN_AUC]
    found = [
        *_by_auc(views, outcomes, bounds),
        *_missingness(column, outcome, bounds),
        *_separation(column, outcome, bounds),
        *_copy(column, outcome, bounds),
        *_later_date(column, outcome, table, bounds),
    ]
    told = [*_name(column, outcome, table, bounds), *_contract(column)]
    return [*_both(found, told), *told]


def figures_of(column: Column, outcome: Outcome, bounds: Bounds) -> Figures:
    """Return the figures of one column."""
    return Figures(
        feature=column.name,
        kind=column.kind,
        nulls=float((column.codes == len(column.levels)).mean()),
        values=len(column.levels),
        auc=own_auc(column, outcome, bounds.z),
        association=association(column, outcome),
    )


def _by_auc(
    views: Mapping[str, Column], outcomes: Mapping[str, Outcome], bounds: Bounds
) -> Iterator[Suspicion]:
    for probe, critical, warning, finding in _BY_AUC:
        if probe in views and probe in outcomes:
            auc = own_auc(views[probe], outcomes[probe], bounds.z)
            severity = _above(auc, critical=critical, warning=warning)
            if severity:
                name = views[probe].name
                yield Suspicion(name, probe, severity, finding.format(auc=auc), _evidence(auc))


def _missingness(column: Column, outcome: Outcome, bounds: Bounds) -> Iterator[Suspicion]:
    auc, with_label, without = missing_auc(column, outcome, bounds.z)
    severity = _above(auc, critical=MISSING_CRITICAL, warning=MISSING_WARNING)
    if severity:
        yield Suspicion(
            column.name,
            "missingness",
            severity,
            f"Whether it is filled tells the label: it is null in {with_label:.1%} of the rows "
            f"with the label and in {without:.1%} of the others, as a column is that is filled "
            "only once the outcome has come.",
            {**_evidence(auc), "null_with_label": with_label, "null_without": without},
        )


def _separation(column: Column, outcome: Outcome, bounds: Bounds) -> Iterator[Suspicion]:
    pure = separations(column, outcome, bounds.tail, purity=PURITY_CRITICAL)
    severity: Severity = "critical"
    found = [
        each
        for each in pure
        if each.recall >= (RECALL_FILLED_CRITICAL if each.kind == "filled" else RECALL_CRITICAL)
    ]
    if not found:
        severity = "warning"
        pure = separations(column, outcome, bounds.tail, purity=PURITY_WARNING)
        found = [each for each in pure if each.recall >= RECALL_WARNING]
    if found:
        best = max(found, key=lambda each: (each.recall, each.kind))
        label = "the label" if best.is_label else "no label"
        yield Suspicion(
            column.name,
            "separation",
            severity,
            f"{_in_words(column, best)} nearly always means {label}: so do {best.purity.value:.1%} "
            f"of {best.rows:,} rows (at least {best.purity.lower:.1%}), {best.recall:.0%} of all "
            "such rows. A single cut that settles the question is seldom honest.",
            {"recall": best.recall, "rows": best.rows, "set": best.kind, **_evidence(best.purity)},
        )


def _copy(column: Column, outcome: Outcome, bounds: Bounds) -> Iterator[Suspicion]:
    wrong = copy_errors(column, outcome, bounds.tail)
    if wrong and wrong.upper <= min(COPY_ERRORS, COPY_ERRORS_OF_RARER * outcome.rarer):
        yield Suspicion(
            column.name,
            "copy",
            "critical",
            "It is the target in other words: read as one, it is wrong in "
            f"{wrong.value:.2%} of the rows (at most {wrong.upper:.2%}).",
            _evidence(wrong),
        )


def _later_date(
    column: Column, outcome: Outcome, table: Table, bounds: Bounds
) -> Iterator[Suspicion]:
    if column.kind != "date" or table.day is None:
        return
    # A date without a time of day is of that day: later is what is a whole day ahead.
    is_later = np.floor(column.values) > np.floor(table.day)
    if is_later.mean() < LATER_SHARE:
        return
    later = column_of(column.name, np.where(is_later, np.nan, 0.0), "number")
    auc, with_label, without = missing_auc(later, outcome, bounds.z)
    yield Suspicion(
        column.name,
        "later_date",
        _above(auc, critical=MISSING_CRITICAL, warning=MISSING_WARNING) or "note",
        f"{is_later.mean():.1%} of its dates lie after the row's own day ({with_label:.1%} with "
        f"the label, {without:.1%} without): right for a planned date, such as a renewal, "
        "impossible for anything that has happened.",
        {**_evidence(auc), "later_with_label": with_label, "later_without": without},
    )


def _name(column: Column, outcome: Outcome, table: Table, bounds: Bounds) -> Iterator[Suspicion]:
    said = hint(column.name, table.target_name)
    # A contract that says how far a feature looks back has answered what a note would ask.
    is_dated = column.contract is not None and column.contract.reach_days is not None
    if said is None or (is_dated and said.severity == "note"):
        return
    finding = f"Its name has '{said.word}': {said.reason}."
    severity = said.severity
    auc = own_auc(column, outcome, bounds.z)
    if said.is_outcome and column.kind == "number" and np.array_equal(column.levels, [0, 1]):
        # A second yes or no on the outcome is no feature, however little it agrees.
        severity = "warning" if is_dated else "critical"
        hits = float((column.values == outcome.target).mean())
        finding += (
            f" It is a second answer to the question that the target asks, and agrees with it in "
            f"{max(hits, 1 - hits):.0%} of the rows (AUC {auc}). One of the two is not of the time "
            "that it seems to be of: leave it out, and find out which is right."
        )
    yield Suspicion(column.name, "name", severity, finding, {"word": said.word, **_evidence(auc)})


def _contract(column: Column) -> Iterator[Suspicion]:
    risk = column.contract.leakage_risk if column.contract else None
    if risk in ("medium", "high"):
        yield Suspicion(
            column.name,
            "contract",
            "warning" if risk == "high" else "note",
            f"Its contract (meta leakage_risk) calls its risk of a leak {risk}.",
            {"leakage_risk": risk},
        )


def _both(found: Sequence[Suspicion], told: Sequence[Suspicion]) -> list[Suspicion]:
    """Raise suspicious figures to critical where name or contract warn too: two separate signs."""
    if all(each.severity == "note" for each in told):
        return list(found)
    return [
        replace(
            each,
            severity="critical",
            finding=f"{each.finding} Its {told[0].probe} warns too.",
        )
        if each.severity == "warning"
        else each
        for each in found
    ]


def _above(interval: Interval, *, critical: float, warning: float) -> Severity | None:
    if interval.lower >= critical:
        return "critical"
    return "warning" if interval.lower >= warning else None


def _in_words(column: Column, found: Separation) -> str:
    if found.kind == "null":
        return "Being null"
    if found.kind == "filled":
        return "Being filled at all"
    level = column.levels[found.level]
    value = f"{level:g}" if column.kind == "number" else str(level)
    if column.kind == "date":
        value = str(date(1970, 1, 1) + timedelta(days=float(level)))
    return {
        "value": f"The value {value}",
        "up_to": f"Any value up to {value}",
        "from": f"Any value from {value} on",
    }[found.kind]


def _evidence(interval: Interval) -> dict[str, float]:
    return {
        "value": round(interval.value, 4),
        "lower": round(interval.lower, 4),
        "upper": round(interval.upper, 4),
    }
