"""One fingerprint: the same rows give the same silver and gold, however they are built.

The raw rows of some customers of the standing warehouse are laid out and built in several ways:
with other numbers of threads, in another order, as one file or many, as Parquet or CSV, at once or
batch by batch, in parts of customers, and with so little memory that the engine has to spill to
disk. Every table of silver and gold must hold the same each time.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from ml.audit.content import Content, differing
from ml.audit.findings import Finding, new_audit_id, now, write_findings, write_report
from ml.audit.rows import sample_rows, soiled, write_rows
from ml.audit.schedules import Rows, draw_schedule
from ml.audit.scratch import audit_folder
from ml.audit.yard import Yard
from ml.errors import HoldfastError, UsageError
from ml.profile import DUCKDB, engine_of
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import open_warehouse, require_warehouse

AUDIT = "fingerprint"

_OUT_OF_MEMORY = "Out of Memory"
# The least memory tried, and by how much it grows until the build has just enough: then it spills.
_LEAST_MEGABYTES, _GROWTH = 40, 1.25
_MANY_FILES = 7


@dataclass(frozen=True)
class Configuration:
    """One way to build.

    Attributes
    ----------
    name
        In words.
    threads
        Of dbt and of the engine.
    lay_out
        Writes the rows into a folder.
    schedule_seed
        In place of `lay_out`: the schedule by which they come in batches.
    is_short_of_memory
        Whether the engine gets so little memory that it has to spill.
    customer_parts
        In how many parts of customers DuckDB builds the largest models; None: as memory asks.
    """

    name: str
    threads: int = 2
    lay_out: Callable[[Rows, Path], None] | None = None
    is_short_of_memory: bool = False
    schedule_seed: int | None = None
    customer_parts: int | None = None


@dataclass(frozen=True)
class Built:
    """What one configuration came to.

    Attributes
    ----------
    different_tables
        Tables that hold something else than those of the first configuration.
    memory_megabytes, spilled_bytes
        What the engine was given, and the most it had on disk at once; None where it was not
        kept short.
    """

    name: str
    different_tables: tuple[str, ...]
    memory_megabytes: int | None = None
    spilled_bytes: int | None = None

    @property
    def is_equal(self) -> bool:
        """Whether every table is the same."""
        return not self.different_tables


@dataclass(frozen=True)
class FingerprintResult:
    """What all configurations came to.

    Attributes
    ----------
    fingerprint
        Of all tables of silver and gold in the first configuration.
    tables
        How many tables were compared.
    """

    audit_id: str
    created_at: datetime
    customers: int
    rows: int
    tables: int
    fingerprint: str
    configurations: tuple[Built, ...]
    report: Path

    @property
    def is_green(self) -> bool:
        """Whether all are the same."""
        return all(each.is_equal for each in self.configurations)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return vars(self) | {
            "is_green": self.is_green,
            "configurations": [
                vars(each) | {"is_equal": each.is_equal} for each in self.configurations
            ],
        }


# ---- how rows are laid out -----------------------------------------------------------------------


def one_file(rows: Rows, raw: Path) -> None:
    """Write one Parquet file an entity."""
    for entity, table in rows.items():
        write_rows(table, raw / f"{entity}.parquet")


def shuffled(rows: Rows, raw: Path) -> None:
    """Write one Parquet file an entity, its rows in random order."""
    one_file(_shuffled(rows), raw)


def many_files(rows: Rows, raw: Path) -> None:
    """Write a folder of Parquet files an entity, the rows dealt out at random."""
    for entity, table in _shuffled(rows).items():
        for number in range(_MANY_FILES):
            places = range(number, table.num_rows, _MANY_FILES)
            write_rows(table, raw / entity / f"{number}.parquet", places)


def one_csv(rows: Rows, raw: Path) -> None:
    """Write one CSV file an entity."""
    for entity, table in rows.items():
        csv.write_csv(table, raw / f"{entity}.csv")


def many_csv(rows: Rows, raw: Path) -> None:
    """Write a folder of CSV files an entity, the rows dealt out at random."""
    for entity, table in _shuffled(rows).items():
        (raw / entity).mkdir()
        for number in range(_MANY_FILES):
            places = pa.array(range(number, table.num_rows, _MANY_FILES), pa.int64())
            csv.write_csv(table.take(places), raw / entity / f"{number}.csv")


def _shuffled(rows: Rows) -> Rows:
    chance = random.Random(1)
    mixed: dict[str, pa.Table] = {}
    for entity, table in rows.items():
        places = list(range(table.num_rows))
        chance.shuffle(places)
        mixed[entity] = table.take(pa.array(places, pa.int64()))
    return mixed


# Schedules go round five orders by their seed: 0 is as known with some late, 1 is any order.
CONFIGURATIONS: tuple[Configuration, ...] = (
    Configuration("1 thread, one Parquet file an entity, one build", 1, one_file),
    Configuration("2 threads", 2, one_file),
    Configuration("8 threads", 8, one_file),
    Configuration("rows shuffled", 2, shuffled),
    Configuration("many Parquet files", 2, many_files),
    Configuration("one CSV file an entity", 2, one_csv),
    Configuration("many CSV files, 8 threads", 8, many_csv),
    Configuration("rows shuffled, 1 thread", 1, shuffled),
    Configuration("incremental, some rows late", schedule_seed=0),
    Configuration("incremental, rows in any order, 8 threads", 8, schedule_seed=1),
    Configuration("incremental, some rows late, 3 parts", schedule_seed=5, customer_parts=3),
    # At once: in parts they would spill less.
    Configuration("little memory, spilling", 2, one_file, True, customer_parts=1),
    Configuration(
        "little memory, rows shuffled, many files", 2, many_files, True, customer_parts=1
    ),
)


def named(words: Sequence[str]) -> tuple[Configuration, ...]:
    """Return the first way to build and those with one of some words in their name; all for none.

    Raises
    ------
    UsageError
        Where no other way has a word in its name.
    """
    first, *others = CONFIGURATIONS
    for word in words:
        if not any(word in each.name for each in others):
            listed = "; ".join(each.name for each in others)
            raise UsageError(f"No way to build has '{word}' in its name. There are: {listed}.")
    wanted = [each for each in others if any(word in each.name for word in words)]
    return (first, *(wanted if words else others))


def fingerprint(
    settings: Settings,
    *,
    customers: int = 400,
    seed: int = 0,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    progress: Progress | None = None,
) -> FingerprintResult:
    """Build the same rows in every configuration and compare what comes of it.

    Parameters
    ----------
    settings
        The project; its warehouse is only read, but for the findings.
    customers
        How many customers' rows are built.
    seed
        Draws the customers and the dirt.
    configurations
        The ways to build; the others are held against the first.

    Raises
    ------
    UsageError
        Where `customers` is below 1.
    DataError
        Where the warehouse has no customers.
    HoldfastError
        Where there is no warehouse, or a build fails.
    """
    if customers < 1:
        raise UsageError(f"--customers wants at least 1, not {customers}.")
    say = progress or silent
    require_warehouse(settings)
    with audit_folder(settings, AUDIT) as folder:
        yard = Yard(settings, folder)
        rows = sample_rows(settings, yard.contracts, customers=customers, seed=seed)
        rows = soiled(rows, yard.contracts, seed)
        first: Content = {}
        built: list[Built] = []
        for number, configuration in enumerate(configurations):
            say(configuration.name, number, len(configurations))
            built.append(_build(yard, configuration, rows, first))
            first = first or yard.content
    created_at = now()
    audit_id = new_audit_id(AUDIT, created_at)
    result = FingerprintResult(
        audit_id=audit_id,
        created_at=created_at,
        customers=customers,
        rows=sum(table.num_rows for table in rows.values()),
        tables=len(first),
        fingerprint=_one_number(first),
        configurations=tuple(built),
        report=settings.reports_dir / f"{audit_id}.json",
    )
    _write(settings, result)
    return result


def _build(yard: Yard, configuration: Configuration, rows: Rows, first: Content) -> Built:
    megabytes = _LEAST_MEGABYTES if configuration.is_short_of_memory else None
    while True:
        yard.start_anew()
        yard.tune(threads=configuration.threads, memory_megabytes=megabytes)
        try:
            with yard.spilled() as spilled:
                _build_batches(yard, configuration, rows)
        except HoldfastError as error:
            # Some steps cannot spill and need a least memory, which grows with the data.
            if megabytes is None or _OUT_OF_MEMORY not in str(error):
                raise
            megabytes = round(_GROWTH * megabytes)
        else:
            return Built(
                name=configuration.name,
                different_tables=differing(first, yard.content) if first else (),
                memory_megabytes=megabytes if engine_of(yard.settings) == DUCKDB else None,
                spilled_bytes=max(spilled, default=None) if megabytes else None,
            )


def _build_batches(yard: Yard, configuration: Configuration, rows: Rows) -> None:
    vars = {"customer_parts": configuration.customer_parts}
    if configuration.lay_out is not None:
        configuration.lay_out(rows, yard.raw)
        yard.build(vars)
    if configuration.schedule_seed is not None:
        schedule = draw_schedule(rows, configuration.schedule_seed)
        for batch in range(schedule.batches):
            schedule.deliver(rows, batch, yard.raw)
            yard.build(vars)


def _one_number(content: Content) -> str:
    text = "\n".join(f"{name} {number}" for name, number in sorted(content.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _write(settings: Settings, result: FingerprintResult) -> None:
    write_report(result.report, result.to_dict())
    findings = [
        Finding(
            severity="note" if each.is_equal else "critical",
            status="passed" if each.is_equal else "failed",
            subject=each.name,
            finding=(
                f"All {result.tables} tables are the same."
                if each.is_equal
                else f"{', '.join(each.different_tables)} hold something else."
            ),
            evidence={"fingerprint": result.fingerprint, "rows": result.rows},
        )
        for each in result.configurations
    ]
    with open_warehouse(settings) as warehouse:
        write_findings(
            warehouse,
            audit=AUDIT,
            audit_id=result.audit_id,
            created_at=result.created_at,
            findings=findings,
        )
