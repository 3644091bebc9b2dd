"""Replay: gold rebuilt from the data cut at each as-of date, and compared cell by cell.

For a date D, everything known at D or later is cut away (the var `known_until`), the layers are
built in a scratch warehouse from what is left, and every cell of D is compared with the standing
one. A cell that differs has seen something that was not known before D. Labels are replayed in the
same way at the moment from which they count as known.

The cuts are taken in ascending order in one scratch warehouse. Rows known before a cut are the same
in every later one, so the layers below gold grow from cut to cut. Gold is built at each cut for the
dates that are compared there and no others: no cell of one date is made from rows of another, and
where that were not so, it would differ from the standing one. Several processes take a run of
neighbouring cuts each, in a scratch warehouse of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from ml.audit.cells import Comparison, compare, side_by_side
from ml.audit.findings import Finding, new_audit_id, now, write_findings, write_report
from ml.audit.scratch import Scratch, audit_folder, copy_sources
from ml.audit.workers import Place, spread
from ml.errors import DataError, HoldfastError, UsageError
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse

AUDIT = "replay"

FEATURES, LABELS = "gold.customer_360", "gold.churn_labels"
_MODELS = {FEATURES: "+gold_customer_360", LABELS: "+gold_churn_labels"}

Relation = Literal["gold.customer_360", "gold.churn_labels"]


@dataclass(frozen=True)
class Cut:
    """A moment at which the data is cut, and what is compared then.

    Attributes
    ----------
    moment
        Midnight; nothing known then or later is left.
    as_of_dates
        For each relation, the as-of dates whose cells are compared at this cut.
    """

    moment: date
    as_of_dates: Mapping[str, tuple[date, ...]]

    @property
    def all_dates(self) -> set[date]:
        """The as-of dates of every relation."""
        return {each for dates in self.as_of_dates.values() for each in dates}


@dataclass(frozen=True)
class ReplayedDate:
    """The cells of one as-of date of one relation, standing and rebuilt.

    Attributes
    ----------
    cuts
        The moments at which the data was cut for them.
    fingerprint
        The standing rows' fingerprint in `gold.fingerprints`.
    """

    relation: str
    as_of_date: date
    cuts: tuple[date, ...]
    fingerprint: str
    comparisons: tuple[Comparison, ...]

    @property
    def rows(self) -> int:
        """Rows compared."""
        return sum(each.rows for each in self.comparisons)

    @property
    def cells(self) -> int:
        """Cells compared."""
        return sum(each.cells for each in self.comparisons)

    @property
    def different_cells(self) -> int:
        """Cells that differ; those of a row that one side lacks among them."""
        return sum(
            each.different_cells + (each.missing_rows + each.extra_rows) * each.columns
            for each in self.comparisons
        )

    @property
    def is_equal(self) -> bool:
        """Whether every cell is the same."""
        return all(each.is_equal for each in self.comparisons)


@dataclass(frozen=True)
class ReplayResult:
    """What a replay found.

    Attributes
    ----------
    dates
        Each date of each relation.
    certificate
        The JSON file that says so.
    seconds
        How long it took.
    """

    audit_id: str
    created_at: datetime
    dates: tuple[ReplayedDate, ...]
    certificate: Path
    seconds: float

    @property
    def is_green(self) -> bool:
        """Whether no cell differs."""
        return all(each.is_equal for each in self.dates)

    @property
    def cells(self) -> int:
        """Cells compared."""
        return sum(each.cells for each in self.dates)

    @property
    def different_cells(self) -> int:
        """Cells that differ."""
        return sum(each.different_cells for each in self.dates)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "audit_id": self.audit_id,
            "created_at": self.created_at,
            "is_green": self.is_green,
            "cells": self.cells,
            "different_cells": self.different_cells,
            "seconds": round(self.seconds, 1),
            "certificate": str(self.certificate),
            "dates": [_date_to_dict(each) for each in self.dates],
        }


def replay(
    settings: Settings,
    *,
    as_of: Sequence[date] = (),
    sample: int = 24,
    jobs: int = 1,
    progress: Progress | None = None,
) -> ReplayResult:
    """Rebuild gold at chosen as-of dates from the data cut at each, and compare every cell.

    Parameters
    ----------
    settings
        The project; its gold is only read.
    as_of
        The as-of dates to replay; each must stand in gold.
    sample
        Without `as_of`, how many dates to take, evenly over those that stand, the first and the
        newest among them.
    jobs
        Processes that work side by side.

    Raises
    ------
    UsageError
        Where a date that was asked for does not stand in gold, or `sample` or `jobs` is below 1.
    DataError
        Where gold holds no as-of date.
    HoldfastError
        Where there is no warehouse, or a build fails.
    """
    if jobs < 1:
        raise UsageError(f"--jobs wants at least 1, not {jobs}.")
    say = progress or silent
    started = time.perf_counter()
    with open_warehouse(settings, read_only=True) as warehouse:
        standing = _standing_dates(warehouse)
        chosen = _choose(standing, as_of, sample)
        moments = _label_moments(warehouse, chosen)
        fingerprints = _fingerprints(warehouse)
    cuts = _cuts(chosen, moments)
    found: dict[tuple[str, date], dict[date, Comparison]] = {}
    with audit_folder(settings, AUDIT) as folder:
        run = partial(_replay_cuts, Place.of(settings, folder, jobs))
        # Of several processes each says how far it is when its run is done.
        parts = [[cut] for cut in cuts] if jobs == 1 else _parts(cuts, jobs)
        done = 0
        say("Cuts", done, len(cuts))
        for compared in spread(run, parts, jobs):
            done += len({each.moment for each in compared})
            say("Cuts", done, len(cuts))
            for each in compared:
                found.setdefault((each.relation, each.as_of_date), {})[each.moment] = (
                    each.comparison
                )
    dates_replayed = tuple(
        ReplayedDate(
            relation=relation,
            as_of_date=as_of_date,
            cuts=tuple(sorted(each)),
            fingerprint=fingerprints.get((relation, as_of_date), ""),
            comparisons=tuple(each[moment] for moment in sorted(each)),
        )
        for (relation, as_of_date), each in sorted(found.items())
    )
    created_at = now()
    audit_id = new_audit_id(AUDIT, created_at)
    result = ReplayResult(
        audit_id=audit_id,
        created_at=created_at,
        dates=dates_replayed,
        certificate=settings.reports_dir / f"{audit_id}.json",
        seconds=time.perf_counter() - started,
    )
    _certify(settings, result)
    return result


def _standing_dates(warehouse: Warehouse) -> list[date]:
    """Return the as-of dates that have observations, in order."""
    rows = warehouse.query(
        "select distinct as_of_date from gold.observations order by as_of_date"
    ).to_pylist()
    if not rows:
        raise DataError(
            "Expected as-of dates with observations in gold, found none. Build it first: "
            "`holdfast run` (or `dbt build`)."
        )
    return [row["as_of_date"] for row in rows]


def _choose(standing: Sequence[date], as_of: Sequence[date], sample: int) -> list[date]:
    unknown = [str(each) for each in as_of if each not in set(standing)]
    if unknown:
        raise UsageError(
            f"Gold has no observations as of {', '.join(unknown)}; it has "
            f"{', '.join(str(each) for each in standing)}."
        )
    if as_of:
        return sorted(set(as_of))
    if sample < 1:
        raise UsageError(f"--sample wants at least 1 date, not {sample}.")
    last = len(standing) - 1
    count = min(sample, len(standing))
    places = {round(last - step * last / max(count - 1, 1)) for step in range(count)}
    return [standing[place] for place in sorted(places)]


def _label_moments(warehouse: Warehouse, chosen: Sequence[date]) -> dict[date, list[date]]:
    """Return, for each chosen date with every label known, when its labels became known."""
    rows = warehouse.query(
        "select as_of_date, cast(label_known_at as date) as moment, "
        "cast(min(cast(is_label_available as integer)) as boolean) as is_available "
        "from gold.churn_labels group by 1, 2 order by 1, 2"
    ).to_pylist()
    moments: dict[date, list[date]] = {}
    unknown = {row["as_of_date"] for row in rows if not row["is_available"]}
    for row in rows:
        if row["as_of_date"] in set(chosen) - unknown:
            moments.setdefault(row["as_of_date"], []).append(row["moment"])
    return moments


def _fingerprints(warehouse: Warehouse) -> dict[tuple[str, date], str]:
    rows = warehouse.query(
        "select relation, as_of_date, fingerprint from gold.fingerprints"
    ).to_pylist()
    return {(f"gold.{row['relation']}", row["as_of_date"]): row["fingerprint"] for row in rows}


def _cuts(chosen: Sequence[date], moments: Mapping[date, Sequence[date]]) -> list[Cut]:
    wanted: dict[date, dict[str, list[date]]] = {}
    for as_of_date in chosen:
        wanted.setdefault(as_of_date, {}).setdefault(FEATURES, []).append(as_of_date)
        for moment in moments.get(as_of_date, ()):
            wanted.setdefault(moment, {}).setdefault(LABELS, []).append(as_of_date)
    return [
        Cut(moment, {relation: tuple(dates) for relation, dates in relations.items()})
        for moment, relations in sorted(wanted.items())
    ]


def _parts(cuts: Sequence[Cut], jobs: int) -> list[Sequence[Cut]]:
    """Return runs of neighbouring cuts that take about as long, at most one a process.

    Features take about twice the work of labels, and the last cuts, which read the most rows, half
    as much again as the first.
    """
    work = [
        (2 if FEATURES in cut.as_of_dates else 1) * (1 + 0.5 * at / len(cuts))
        for at, cut in enumerate(cuts)
    ]
    done = list(accumulate(work))
    parts: dict[int, list[Cut]] = {}
    for cut, own, until in zip(cuts, work, done, strict=True):
        parts.setdefault(int((until - own / 2) / done[-1] * jobs), []).append(cut)
    return list(parts.values())


@dataclass(frozen=True)
class _Compared:
    """The rows of one as-of date, compared at one cut."""

    moment: date
    relation: str
    as_of_date: date
    comparison: Comparison


# By the folder of the audit that they are for.
_scratches: dict[Path, Scratch] = {}


def _replay_cuts(place: Place, cuts: Sequence[Cut]) -> list[_Compared]:
    """Build at each cut in this process's own scratch warehouse, and compare what it is for."""
    settings = place.settings()
    is_first = place.folder not in _scratches
    if is_first:
        _scratches.clear()
        folder = Path(tempfile.mkdtemp(prefix="process-", dir=place.folder))
        own = Scratch.at(settings, folder, vars={})
        if place.threads is not None:
            own.tune(place.threads)
        copy_sources(settings, own.settings)
        _scratches[place.folder] = own
    own = _scratches[place.folder]
    found: list[_Compared] = []
    for cut in cuts:
        _build(own, cut, is_first=is_first and cut == cuts[0])
        with side_by_side(settings, own.settings) as both:
            for relation, dates in cut.as_of_dates.items():
                for as_of_date in dates:
                    where, params = "as_of_date = ?", [as_of_date]
                    if relation == LABELS:
                        where, params = f"{where} and label_known_at = ?", [*params, cut.moment]
                    comparison = compare(
                        both, relation, key="customer_id", where=where, params=params
                    )
                    found.append(_Compared(cut.moment, relation, as_of_date, comparison))
    return found


def _build(own: Scratch, cut: Cut, *, is_first: bool) -> None:
    # All seeds at once: a first cut for labels alone needs fewer of them than the next ones.
    seeds = ["resource_type:seed"] if is_first else []
    try:
        own.build(
            [*(_MODELS[relation] for relation in cut.as_of_dates), *seeds],
            seeds=is_first,
            vars={
                "known_until": f"{cut.moment} 00:00:00",
                "only_as_of_dates": [str(each) for each in sorted(cut.all_dates)],
            },
        )
    except HoldfastError as error:
        raise HoldfastError(
            f"The replay could not build gold from the data cut at {cut.moment}: {error}"
        ) from error


def _certify(settings: Settings, result: ReplayResult) -> None:
    write_report(result.certificate, result.to_dict())
    findings = [
        Finding(
            severity="note" if each.is_equal else "critical",
            status="passed" if each.is_equal else "failed",
            relation=each.relation,
            as_of_date=each.as_of_date,
            subject=each.fingerprint,
            finding=_in_words(each),
            evidence=_date_to_dict(each),
        )
        for each in result.dates
    ]
    with open_warehouse(settings) as warehouse:
        write_findings(
            warehouse,
            audit=AUDIT,
            audit_id=result.audit_id,
            created_at=result.created_at,
            findings=findings,
        )


def _in_words(each: ReplayedDate) -> str:
    if each.is_equal:
        return f"All {each.cells:,} cells are the same when built from what was known before."
    return (
        f"{each.different_cells:,} of {each.cells:,} cells differ when built from what was known "
        "before."
    )


def _date_to_dict(each: ReplayedDate) -> dict[str, Any]:
    return {
        "relation": each.relation,
        "as_of_date": str(each.as_of_date),
        "cuts": [str(cut) for cut in each.cuts],
        "fingerprint": each.fingerprint,
        "rows": each.rows,
        "cells": each.cells,
        "different_cells": each.different_cells,
        "missing_rows": sum(one.missing_rows for one in each.comparisons),
        "extra_rows": sum(one.extra_rows for one in each.comparisons),
        "examples": [asdict(cell) for one in each.comparisons for cell in one.examples],
    }
