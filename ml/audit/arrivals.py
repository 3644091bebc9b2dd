"""Arrivals: whatever the order in which rows come, incremental builds end where one build ends.

A schedule cuts the raw rows of a few customers into batches: late, back-dated, corrected and
repeated rows among them, some deleted by the source and sent again. After each batch an incremental
build runs in a scratch warehouse. At the end every table of silver and gold must hold the same as
after one build of everything, what its rows were built from included. Beside it stands how many
as-of dates were rebuilt, and the least that had to be: those that are new, and those before which a
row was known that came, changed or went.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ml.audit.content import Content, differing
from ml.audit.findings import Finding, new_audit_id, now, write_findings, write_report
from ml.audit.rows import EntityContract, sample_rows, soiled, write_rows
from ml.audit.schedules import Rows, draw_schedule
from ml.audit.scratch import audit_folder
from ml.audit.workers import Place, spread
from ml.audit.yard import Yard
from ml.errors import HoldfastError, UsageError
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import open_warehouse, require_warehouse

AUDIT = "arrivals"

# Dates rebuilt may be this many times the least.
MOST_REBUILT = 1.1

# So many schedules share their customers, and with them the one full build they are held against.
SCHEDULES_A_COMPANY = 25

_BUILT = re.compile(r"gold\.customer_360: (\d+) slices")


@dataclass(frozen=True)
class ScheduleResult:
    """How one schedule ended.

    Attributes
    ----------
    seed
        It makes the same schedule again.
    order
        How its rows came, in words.
    builds
        Incremental builds, one a batch.
    rows
        Raw rows.
    dates_rebuilt, dates_least
        As-of dates of `gold.customer_360` that the builds after the first rebuilt, and the least
        that had to be.
    different_tables
        Tables that hold something else than after one full build.
    """

    seed: int
    order: str
    builds: int
    rows: int
    dates_rebuilt: int
    dates_least: int
    different_tables: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the builds ended where one build ends."""
        return not self.different_tables


@dataclass(frozen=True)
class ArrivalsResult:
    """What all schedules came to.

    Attributes
    ----------
    schedules
        Each of them, in the order of their seeds.
    report
        The JSON file that says so.
    """

    audit_id: str
    created_at: datetime
    customers: int
    schedules: tuple[ScheduleResult, ...]
    report: Path

    @property
    def failed(self) -> tuple[ScheduleResult, ...]:
        """Schedules that ended elsewhere."""
        return tuple(each for each in self.schedules if not each.is_equal)

    @property
    def builds(self) -> int:
        """Incremental builds, of all schedules."""
        return sum(each.builds for each in self.schedules)

    @property
    def dates_rebuilt(self) -> int:
        """As-of dates that were rebuilt."""
        return sum(each.dates_rebuilt for each in self.schedules)

    @property
    def dates_least(self) -> int:
        """As-of dates that had to be."""
        return sum(each.dates_least for each in self.schedules)

    @property
    def rebuilt_ratio(self) -> float | None:
        """Dates rebuilt by the least; None where none had to be."""
        return self.dates_rebuilt / self.dates_least if self.dates_least else None

    @property
    def is_green(self) -> bool:
        """Whether all ended where one build ends, and none rebuilt much more than it had to."""
        return not self.failed and self.dates_rebuilt <= MOST_REBUILT * self.dates_least

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "audit_id": self.audit_id,
            "created_at": self.created_at,
            "is_green": self.is_green,
            "customers": self.customers,
            "builds": self.builds,
            "dates_rebuilt": self.dates_rebuilt,
            "dates_least": self.dates_least,
            "rebuilt_ratio": self.rebuilt_ratio,
            "report": str(self.report),
            "schedules": [vars(each) | {"is_equal": each.is_equal} for each in self.schedules],
        }


def arrivals(
    settings: Settings,
    *,
    schedules: int = 20,
    customers: int = 12,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> ArrivalsResult:
    """Run random schedules of arrival on rows of the standing warehouse.

    Parameters
    ----------
    settings
        The project; its warehouse is only read, but for the findings.
    schedules
        How many.
    customers
        How many customers' rows a schedule has.
    seed
        Of the first schedule; the next have the next numbers.
    jobs
        Processes that run schedules side by side.

    Raises
    ------
    UsageError
        Where one of the numbers is too small.
    DataError
        Where the warehouse has no customers.
    HoldfastError
        Where there is no warehouse, or a build fails; the schedule's seed is named.
    """
    for name, value in (("schedules", schedules), ("customers", customers), ("jobs", jobs)):
        if value < 1:
            raise UsageError(f"--{name} wants at least 1, not {value}.")
    say = progress or silent
    require_warehouse(settings)
    seeds = range(seed, seed + schedules)
    done: list[ScheduleResult] = []
    with audit_folder(settings, AUDIT) as folder:
        run = partial(_run_in_process, Place.of(settings, folder, jobs), customers)
        say("Schedules", 0, schedules)
        for each in spread(run, seeds, jobs):
            done.append(each)
            say("Schedules", len(done), schedules)
    created_at = now()
    audit_id = new_audit_id(AUDIT, created_at)
    result = ArrivalsResult(
        audit_id=audit_id,
        created_at=created_at,
        customers=customers,
        schedules=tuple(sorted(done, key=lambda each: each.seed)),
        report=settings.reports_dir / f"{audit_id}.json",
    )
    _write(settings, result)
    return result


# ---- one process ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Company:
    """The rows of some customers, and what one full build makes of them."""

    rows: Rows
    content: Content


class _Runner:
    """A process's own scratch project, which runs one schedule after the other."""

    def __init__(self, place: Place, customers: int) -> None:
        settings = place.settings()
        folder = Path(tempfile.mkdtemp(prefix="process-", dir=place.folder))
        self.yard = Yard(settings, folder)
        self.yard.tune(threads=place.threads or 2, memory_megabytes=None)
        self.standing = settings
        self.customers = customers
        self._companies: dict[int, _Company] = {}

    def company(self, number: int) -> _Company:
        """Return the customers that some schedules share, built once."""
        if number not in self._companies:
            contracts = self.yard.contracts
            rows = sample_rows(self.standing, contracts, customers=self.customers, seed=number)
            rows = soiled(rows, contracts, number)
            self.yard.start_anew()
            for entity, table in rows.items():
                write_rows(table, self.yard.raw / f"{entity}.parquet")
            self.yard.build()
            self._companies = {number: _Company(rows, self.yard.content)}
        return self._companies[number]

    def run(self, seed: int) -> ScheduleResult:
        """Build after each batch of one schedule, and compare the end."""
        company = self.company(seed // SCHEDULES_A_COMPANY)
        schedule = draw_schedule(company.rows, seed)
        self.yard.start_anew()
        rebuilt = least = 0
        before = _Standing({}, frozenset())
        for batch in range(schedule.batches):
            schedule.deliver(company.rows, batch, self.yard.raw)
            notes = self.yard.build()
            after = _Standing.read(self.yard.settings, self.yard.contracts)
            if batch:
                found = [match for note in notes if (match := _BUILT.match(note))]
                rebuilt += sum(int(match.group(1)) for match in found)
                least += len(after.dates_touched_since(before))
            before = after
        return ScheduleResult(
            seed=seed,
            order=schedule.order,
            builds=schedule.batches,
            rows=sum(table.num_rows for table in company.rows.values()),
            dates_rebuilt=rebuilt,
            dates_least=least,
            different_tables=differing(company.content, self.yard.content),
        )


# By the folder of the audit that they are for.
_runners: dict[Path, _Runner] = {}


def _run_in_process(place: Place, customers: int, seed: int) -> ScheduleResult:
    if place.folder not in _runners:
        _runners.clear()
        _runners[place.folder] = _Runner(place, customers)
    try:
        return _runners[place.folder].run(seed)
    except HoldfastError as error:
        raise HoldfastError(f"The schedule with the seed {seed} could not be built: {error}") from (
            error
        )


# ---- the least that has to be rebuilt ------------------------------------------------------------


@dataclass(frozen=True)
class _Standing:
    """What a build left: a number for the rows of each entity and known day; the as-of dates."""

    days: Mapping[tuple[str, date], str]
    dates: frozenset[date]

    @classmethod
    def read(cls, settings: Settings, contracts: Mapping[str, EntityContract]) -> _Standing:
        with open_warehouse(settings, read_only=True) as warehouse:
            days = {
                (entity, day): content
                for entity in contracts
                for day, content in warehouse.contents(
                    f"bronze.{entity}", by="cast(known_at as date)", without=["built_from"]
                ).items()
                if isinstance(day, date)
            }
            # A date without observations has no cells that a build could have made again.
            dates = warehouse.query("select distinct as_of_date from gold.customer_360")
        return cls(days, frozenset(dates["as_of_date"].to_pylist()))

    def dates_touched_since(self, before: _Standing) -> set[date]:
        """Return the dates that are new, and those that a changed row was known before."""
        changed = [
            day
            for entity, day in {*self.days, *before.days}
            if self.days.get((entity, day)) != before.days.get((entity, day))
        ]
        first = min(changed, default=date.max)
        return {each for each in self.dates if each not in before.dates or each > first}


def _write(settings: Settings, result: ArrivalsResult) -> None:
    write_report(result.report, result.to_dict())
    findings = [
        Finding(
            severity="note" if result.is_green else "critical",
            status="passed" if result.is_green else "failed",
            subject=f"{len(result.schedules)} schedules",
            finding=(
                f"{len(result.schedules) - len(result.failed)} of {len(result.schedules)} "
                "schedules of arrival ended where one build ends."
            ),
            evidence={
                "builds": result.builds,
                "dates_rebuilt": result.dates_rebuilt,
                "dates_least": result.dates_least,
            },
        ),
        *(
            Finding(
                severity="critical",
                status="failed",
                subject=f"seed {each.seed}",
                finding=f"Builds ended elsewhere in {', '.join(each.different_tables)}.",
                evidence={"order": each.order, "builds": each.builds},
            )
            for each in result.failed
        ),
    ]
    with open_warehouse(settings) as warehouse:
        write_findings(
            warehouse,
            audit=AUDIT,
            audit_id=result.audit_id,
            created_at=result.created_at,
            findings=findings,
        )
