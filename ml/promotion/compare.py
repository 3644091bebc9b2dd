"""Two versions side by side, on rows that neither was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import matrix, metrics
from ml.errors import UsageError
from ml.judge import MIN_SEGMENT_CLASS, OVERALL
from ml.metrics import (
    AVERAGE_PRECISION,
    BRIER,
    CALIBRATION_ERROR,
    METRICS,
    REVENUE_CAUGHT,
    Estimate,
    Forecast,
    Outcomes,
)
from ml.progress import Progress, silent
from ml.promotion.judging import Contender, unseen_since
from ml.promotion.rows import JudgedRows, read_rows
from ml.promotion.versions import named, open_registry
from ml.registry import RegisteredVersion
from ml.settings import Settings
from ml.warehouse import open_warehouse, require_warehouse

Mask = NDArray[np.bool_]

MONTH = "month"
_SMALLER_IS_BETTER = (BRIER, CALIBRATION_ERROR)


@dataclass(frozen=True)
class Difference:
    """One metric of both versions on one part of the rows.

    Attributes
    ----------
    a, b
        None where the part has too few of a class.
    difference
        b less a, with the interval of the paired difference.
    lost_monthly_revenue
        What the churners of the part paid a month.
    """

    segment_type: str
    segment: str
    metric: str
    a: float | None
    b: float | None
    difference: Estimate
    observations: int
    churned: int
    lost_monthly_revenue: float

    @property
    def winner(self) -> str | None:
        """`A` or `B` where one is surely better, the interval of the difference clear of zero."""
        lower, upper = self.difference.lower, self.difference.upper
        if lower is None or upper is None or lower <= 0 <= upper:
            return None
        return "B" if (lower > 0) != (self.metric in _SMALLER_IS_BETTER) else "A"


@dataclass(frozen=True)
class Compared:
    """One of the two versions.

    Attributes
    ----------
    aliases
        Those that name it now.
    """

    model_version: int
    estimator: str
    training_cutoff: date
    feature_count: int
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Recommendation:
    """Which version to prefer, and why; None where neither is surely better."""

    prefers: str | None
    model_version: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CompareResult:
    """What a comparison found.

    Attributes
    ----------
    dates
        The as-of dates: all since the later of the two trainings, of which every label is known.
    capacity_share
        The share of customers that can be called.
    differences
        For all rows, then by month and segment.
    """

    model_name: str
    a: Compared
    b: Compared
    dates: tuple[date, ...]
    observations: int
    churners: int
    capacity_share: float
    differences: tuple[Difference, ...]
    recommendation: Recommendation

    def overall(self, metric: str) -> Difference:
        """Return one metric over all rows."""
        return self.of(OVERALL, metric)[0]

    def of(self, segment_type: str, metric: str) -> tuple[Difference, ...]:
        """Return one metric over the segments of one kind."""
        return tuple(
            each
            for each in self.differences
            if (each.segment_type, each.metric) == (segment_type, metric)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)


def compare(
    settings: Settings, name_a: str, name_b: str, *, progress: Progress | None = None
) -> CompareResult:
    """Judge two versions on the same rows, all of them from after both trainings.

    Parameters
    ----------
    name_a, name_b
        Numbers of versions, or aliases.

    Raises
    ------
    UsageError
        Where a name is of no version, or both are of one.
    ContractError
        Where the warehouse lacks a feature of one of them.
    DataError
        Where there is no date that neither was trained on with every label known.
    HoldfastError
        Where the registry is gone or the warehouse cannot be used.
    """
    say = progress or silent
    require_warehouse(settings)
    store = open_registry(settings)
    model_name = settings.train.model_name
    say("Loading the versions", 0, 0)
    versions = [named(store, model_name, name) for name in (name_a, name_b)]
    if versions[0] == versions[1]:
        raise UsageError(
            f"'{name_a}' and '{name_b}' are the same version, {versions[0].model_version}: name "
            "two."
        )
    a, b = (Contender.load(store, version) for version in versions)
    with open_warehouse(settings, read_only=True) as warehouse:
        rows = read_rows(warehouse, [a.model, b.model], since=unseen_since(a, b))
    by_alias = {version: store.aliases_of(version) for version in versions}
    differences = tuple(_differences(settings, rows, a, b, say))
    return CompareResult(
        model_name=model_name,
        a=_compared(a, by_alias),
        b=_compared(b, by_alias),
        dates=rows.dates,
        observations=rows.rows,
        churners=rows.churners,
        capacity_share=settings.train.capacity_share,
        differences=differences,
        recommendation=recommend(
            differences, {"A": a.version.model_version, "B": b.version.model_version}
        ),
    )


def recommend(differences: Sequence[Difference], versions: Mapping[str, int]) -> Recommendation:
    """Return which version to prefer: the one that surely ranks better, else that catches more.

    Parameters
    ----------
    differences
        As `compare` makes them.
    versions
        The numbers of `A` and `B`.
    """
    overall = {each.metric: each for each in differences if each.segment_type == OVERALL}
    decided = next(
        (
            metric
            for metric in (AVERAGE_PRECISION, REVENUE_CAUGHT)
            if overall[metric].winner is not None
        ),
        None,
    )
    prefers = None if decided is None else overall[decided].winner
    reasons = [
        _overall_reason(overall[metric])
        for metric in (AVERAGE_PRECISION, REVENUE_CAUGHT, CALIBRATION_ERROR)
    ]
    months = [
        each.difference.value
        for each in differences
        if (each.segment_type, each.metric) == (MONTH, AVERAGE_PRECISION)
        and each.difference.value is not None
    ]
    if months:
        ahead = sum(value > 0 for value in months)
        reasons.append(f"B ranks better in {ahead} of {len(months)} months")
    reasons += [
        f"{each.winner} ranks surely better in {each.segment_type} {each.segment}: {_spoken(each)}"
        for each in differences
        if each.segment_type not in (OVERALL, MONTH)
        and each.metric == AVERAGE_PRECISION
        and each.winner is not None
        and each.winner != prefers
    ]
    if prefers is None:
        reasons.append("neither is surely better: what serves may stay")
    return Recommendation(prefers, None if prefers is None else versions[prefers], tuple(reasons))


def _overall_reason(each: Difference) -> str:
    metric = each.metric.replace("_", " ")
    if each.a is None or each.b is None:
        return f"{metric}: too few of a class to tell"
    sure = f"{each.winner} is surely better" if each.winner else "no sure difference"
    return f"{metric}: {sure}, {_spoken(each)}"


def _spoken(each: Difference) -> str:
    a = "unknown" if each.a is None else f"{each.a:.3f}"
    b = "unknown" if each.b is None else f"{each.b:.3f}"
    bounds = each.difference
    if bounds.lower is None or bounds.upper is None:
        return f"A {a}, B {b}"
    return f"A {a}, B {b}, difference [{bounds.lower:+.3f}, {bounds.upper:+.3f}]"


def _compared(
    contender: Contender, by_alias: Mapping[RegisteredVersion, tuple[str, ...]]
) -> Compared:
    record = contender.record
    return Compared(
        model_version=contender.version.model_version,
        estimator=record.estimator,
        training_cutoff=record.training_cutoff.date(),
        feature_count=len(contender.model.types),
        aliases=by_alias[contender.version],
    )


def _differences(
    settings: Settings, rows: JudgedRows, a: Contender, b: Contender, say: Progress
) -> Iterator[Difference]:
    outcomes = rows.outcomes
    forecasts = [rows.forecasts(each.model)[each.model.family] for each in (a, b)]
    drawn = metrics.draw_customers(
        outcomes, settings.train.bootstrap_samples, np.random.default_rng(settings.seed)
    )
    parts = list(_parts(rows))
    for done, (segment_type, segment, mask) in enumerate(parts):
        say(f"Comparing {segment_type} {segment}", done, len(parts))
        some = outcomes.at(mask)
        sides = [each.at(mask) for each in forecasts]
        yield from _of_part(
            segment_type, segment, some, sides, settings.train.capacity_share, drawn
        )


def _parts(rows: JudgedRows) -> Iterator[tuple[str, str, Mask]]:
    everything = np.ones(rows.rows, dtype=bool)
    yield OVERALL, "all", everything
    for day in np.unique(rows.data.as_of_date):
        yield MONTH, str(matrix.as_date(day)), np.asarray(rows.data.as_of_date == day)
    for segment_type, values in rows.data.segments(everything).items():
        for value in sorted({value for value in values if value is not None}):
            yield segment_type, str(value), np.asarray(values == value)


def _of_part(
    segment_type: str,
    segment: str,
    outcomes: Outcomes,
    sides: Sequence[Forecast],
    share: float,
    drawn: NDArray[np.float64],
) -> Iterator[Difference]:
    churned = int(outcomes.target.sum())
    lost = float((outcomes.target * outcomes.monthly_revenue).sum())
    is_enough = min(churned, outcomes.target.size - churned) >= MIN_SEGMENT_CLASS
    values: list[Mapping[str, Any]] = [{}, {}]
    samples: list[Mapping[str, Any]] = [{}, {}]
    if is_enough:
        values = [metrics.measure(outcomes, side, share) for side in sides]
        samples = [metrics.measure_samples(outcomes, side, share, drawn) for side in sides]
    for metric in METRICS:
        a, b = (_known(value.get(metric)) for value in values)
        difference = Estimate(None)
        if a is not None and b is not None:
            difference = metrics.estimate(b - a, samples[1][metric] - samples[0][metric])
        yield Difference(
            segment_type=segment_type,
            segment=segment,
            metric=metric,
            a=a,
            b=b,
            difference=difference,
            observations=outcomes.target.size,
            churned=churned,
            lost_monthly_revenue=lost,
        )


def _known(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
