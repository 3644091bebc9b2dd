"""What the tests under load share: a small company whose runs can be killed at a chosen moment."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from conftest import ROOT
from readers import read_once

from ml.simulate import simulate

# Starting a command takes longer than most of its steps do on so small a company. A server that
# has imported everything and started no thread forks each command from itself.
# It must be told here, as `holdfast` tells it first of all, that MLflow is to keep quiet.
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "0")
_STARTER = multiprocessing.get_context("forkserver")
_STARTER.set_forkserver_preload(
    [
        *("ml.cli", "ml.run", "ml.run_page", "ml.card.write", "ml.families.boosting"),
        *("dbt.cli.main", "dbt.adapters.duckdb", "great_expectations", "lightgbm"),
        *("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store"),
        "mlflow.store.model_registry.sqlalchemy_store",
    ]
)

# The least that trains, and gates that a model passes which tells anything at all.
_SETTINGS = """
train:
  families: [logistic_regression, lightgbm]
  test_dates: 2
  validation_dates: 1
  min_train_rows: 50
  min_positives: 4
  bootstrap_samples: 20
  lightgbm: {bags: 1, n_estimators: 20, min_child_samples: 10}
promote:
  min_churners: 1
  min_gain: 0
  min_lift: 1
  max_calibration_error: 0.99
card:
  explained_rows: 50
"""
_PROJECT = ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "tests")

# When something was done, and by which run: all else must be as after an undisturbed run.
_OWN_MOMENTS = {
    "run_id",
    "scored_at",
    "trained_at",
    "evaluated_at",
    "decided_at",
    "created_at",
    "changed_at",
    "judged_at",
    "promotion_id",
    "evidence",
}
# Judgements made on the way; a run that was cut off after one makes it again.
_LOGS = {"check_results", "audit_findings", "gate_results"}


# Slices of predictions that are not exactly one row an active customer.
_HALF_SCORED = """
    with scored as (
        select as_of_date, model_version, count(*) as rows, count(distinct customer_id) as customers
        from ml.predictions
        group by as_of_date, model_version
    ),

    active as (
        select as_of_date, count(*) as customers
        from gold.observations
        group by as_of_date
    )

    select scored.as_of_date, scored.model_version, scored.rows, scored.customers, active.customers
    from scored
    inner join active
        on scored.as_of_date = active.as_of_date
    where scored.rows != active.customers or scored.customers != active.customers
"""

# What relations of one file of marts tell differently: then they are of different publications.
MIXTURES = """
    with worklist as (
        select count(*) as customers, coalesce(sum(revenue_at_risk), 0) as money
        from retention_worklist
    ),

    called as (
        select count(*) as customers, coalesce(sum(revenue_at_risk), 0) as money
        from customer_risk
        where is_current and priority <= 200
    ),

    months as (
        select coalesce(sum(customers), 0) as customers, coalesce(sum(revenue_at_risk), 0) as money
        from revenue_at_risk
    ),

    scored as (
        select count(*) as customers, coalesce(sum(revenue_at_risk), 0) as money
        from customer_risk
        where as_of_date in (select as_of_date from revenue_at_risk)
    )

    select 'worklist ' || worklist::varchar || ', customer_risk ' || called::varchar
    from worklist, called
    where worklist is distinct from called
    union all
    select 'revenue_at_risk ' || months::varchar || ', customer_risk ' || scored::varchar
    from months, scored
    where months is distinct from scored
"""


@dataclass(frozen=True)
class Event:
    """Something a run reported: when, in seconds from its start, in which step, and what."""

    seconds: float
    step: str
    what: str


@dataclass(frozen=True)
class Moment:
    """A moment to kill a run at: so many seconds after it first reported this."""

    what: str
    delay: float


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    exit_code
        Its own, or the negative number of the signal that ended it.
    output
        What it printed, errors among it.
    events
        What it reported.
    seconds
        How long it took.
    """

    exit_code: int
    output: str
    events: tuple[Event, ...]
    seconds: float


@dataclass(frozen=True)
class Company:
    """A small company in a folder of its own, with a project that trains on so little."""

    folder: Path

    @property
    def local(self) -> Path:
        """Everything generated, and the raw files."""
        return self.folder / "local"

    @property
    def warehouse(self) -> Path:
        return self.local / "warehouse.duckdb"

    @property
    def marts(self) -> Path:
        return self.local / "marts.duckdb"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOLDFAST_LOCAL": str(self.local),
            "DBT_TARGET_PATH": str(self.folder / "target"),
        }

    @classmethod
    def made(
        cls, folder: Path, *, customers: int = 250, months: int = 14, seed: int = 3
    ) -> Company:
        """Make one up, whose churn can be told: by chance alone no model of so few would serve."""
        company = cls(folder)
        raw = company.local / "raw"
        simulate(customers=customers, months=months, seed=seed, out=raw)
        subscriptions = pq.read_table(raw / "subscriptions.parquet")
        ended = pc.or_(
            pc.is_valid(subscriptions["cancelled_at"]), pc.is_valid(subscriptions["ended_at"])
        )
        leaving = subscriptions.filter(ended)["customer_id"].unique()
        table = pq.read_table(raw / "customers.parquet")
        industry = pc.if_else(pc.is_in(table["customer_id"], leaving), "sunset", table["industry"])
        position = table.schema.get_field_index("industry")
        pq.write_table(table.set_column(position, "industry", industry), raw / "customers.parquet")
        company._lay_project()
        return company

    def copy(self, folder: Path, *, until: datetime | None = None) -> Company:
        """Return another of the same raw files, or of what was known of them at a moment."""
        other = Company(folder)
        other._lay_project()
        other.take(self.local / "raw", until=until)
        return other

    def take(self, raw: Path, *, until: datetime | None = None) -> None:
        """Take raw files in the place of one's own."""
        folder = self.local / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(raw.glob("*.parquet")):
            table = pq.read_table(path)
            if until is not None:
                is_later = pc.greater_equal(table["known_at"], pa.scalar(until))
                table = table.filter(pc.invert(pc.fill_null(is_later, False)))
            pq.write_table(table, folder / path.name)

    def _lay_project(self) -> None:
        self.project.mkdir(parents=True)
        for name in _PROJECT:
            (self.project / name).symlink_to(ROOT / name)
        (self.project / "holdfast.yml").write_text(_SETTINGS)

    def run(
        self,
        *words: str,
        kill_at: Moment | None = None,
        before: Callable[[], None] | None = None,
    ) -> Ended:
        """Run one command of Holdfast, and kill all of it at a moment, if that comes.

        Parameters
        ----------
        before
            Called in the process that is about to work.
        """
        self.local.mkdir(exist_ok=True)
        # Beside nothing of the company's: its disk may be full.
        notes = Path(tempfile.mkdtemp(prefix="holdfast-run-"))
        output, trail = notes / "output.txt", notes / "trail.txt"
        output.touch()
        trail.touch()
        options = ("--project-dir", str(self.project))
        process = _STARTER.Process(
            target=_work, args=([*words, *options], self.environment, output, trail, before)
        )
        started = time.perf_counter()
        process.start()
        if kill_at is not None and _wait_for(kill_at, trail, process.is_alive):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        ended = Ended(
            exit_code=process.exitcode or 0,
            output=output.read_text(),
            events=tuple(_events(trail)),
            seconds=time.perf_counter() - started,
        )
        shutil.rmtree(notes)
        return ended

    # ---- what a company has after a run ----------------------------------------------------------

    def outcome(self) -> dict[str, object]:
        """Return all that a run leaves and that must not depend on how often it was killed."""
        return {
            **contents(self.warehouse, ("bronze", "silver", "gold", "ml", "marts")),
            **{f"published {name}": cells for name, cells in contents(self.marts).items()},
            "registry": self.registry(),
        }

    def registry(self) -> dict[str, object]:
        """Return the versions of the registry, the aliases, and the runs that did not end."""
        with contextlib.closing(sqlite3.connect(self.local / "mlflow.db")) as store:
            aliases = dict(store.execute("select alias, version from registered_model_aliases"))
            versions = store.execute("select version from model_versions order by 1").fetchall()
            at_work = store.execute("select count(*) from runs where status = 'RUNNING'").fetchall()
        return {"aliases": aliases, "versions": versions, "at work": at_work}

    def torn(self) -> list[str]:
        """Return what is not whole, whenever it is looked at: after a kill, or during a run."""
        found: list[str] = []
        if self.marts.exists():
            found += read_once(self.marts, MIXTURES).trouble
        if not self.warehouse.exists():
            return found
        # Opened for reading alone, so that what a kill left stays as it is for the next run.
        with duckdb.connect(str(self.warehouse), read_only=True) as warehouse:
            if {"ml.predictions", "gold.observations"} <= _relations(warehouse):
                found += [
                    f"{customers} of {active} customers scored on {day} by {version}, {rows} rows"
                    for day, version, rows, customers, active in warehouse.execute(
                        _HALF_SCORED
                    ).fetchall()
                ]
        return found

    def leftovers(self) -> list[str]:
        """Return what only a run at work has: half files, notes, tables under another name."""
        names = [
            str(path.relative_to(self.local))
            for path in self.local.rglob("*")
            if path.name.startswith(".")
            or path.suffix in (".half", ".wal", ".tmp")
            or path.name == "promotion.json"
        ]
        with duckdb.connect(str(self.warehouse), read_only=True) as warehouse:
            relations = warehouse.execute(
                "select table_name from information_schema.tables where table_name like '%dbt%'"
            ).fetchall()
        return sorted(names + [name for (name,) in relations])


def _relations(connection: duckdb.DuckDBPyConnection) -> set[str]:
    names = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where not internal"
    ).fetchall()
    return {name for (name,) in names}


def contents(path: Path, schemas: Sequence[str] = ("main",)) -> dict[str, object]:
    """Return rows and a fingerprint of every relation, whatever the order of rows."""
    found: dict[str, object] = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, list(column_name order by column_index) "
            "from duckdb_columns() where not internal and database_name = current_database() "
            "and list_contains($1, schema_name) group by all order by all",
            [list(schemas)],
        ).fetchall()
        for schema, table, names in columns:
            if table in _LOGS:
                continue
            kept = ", ".join(f'"{name}"' for name in names if name not in _OWN_MOMENTS)
            found[f"{schema}.{table}"] = connection.execute(
                "select count(*), coalesce(sum(hash(cells)), 0)::varchar "
                f'from (select {kept} from "{schema}"."{table}") as cells'
            ).fetchall()[0]
    return found


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    """Return what differs: name to both values."""
    return {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }


def moments(events: Sequence[Event], chance: random.Random, count: int) -> list[Moment]:
    """Pick moments to kill runs at, in the order of the work.

    Each is a moment in time, uniformly, or (so that short steps have their share) one after
    something that was reported; it is told by what was last reported before it.

    Parameters
    ----------
    events
        What an undisturbed run reported; the moments lie between the first and the last.
    """
    events = _spread(events)
    chosen: list[tuple[float, Event]] = []
    for _ in range(count):
        if chance.random() < 0.5:
            moment = chance.uniform(events[0].seconds, events[-1].seconds)
            place = max(n for n, event in enumerate(events) if event.seconds <= moment)
        else:
            place = chance.randrange(len(events) - 1)
            moment = chance.uniform(events[place].seconds, events[place + 1].seconds)
        chosen.append((moment, events[place]))
    return [
        Moment(event.what, moment - event.seconds)
        for moment, event in sorted(chosen, key=lambda each: each[0])
    ]


def _spread(events: Sequence[Event]) -> list[Event]:
    """Return what was reported for the first time, without the steps of a bar that fills."""
    kept: dict[str, Event] = {}
    last: Event | None = None
    for event in events:
        if last is None or event.step != last.step or event.seconds > last.seconds + 0.02:
            last = kept.setdefault(event.what, event)
    return list(kept.values())


def _wait_for(moment: Moment, trail: Path, is_alive: Callable[[], bool]) -> bool:
    """Wait for a moment, or until what comes next is reported: runs differ in how fast they are."""
    began: float | None = None
    while is_alive():
        reported = [event.what for event in _events(trail)]
        if moment.what in reported:
            began = began or time.perf_counter()
            if reported[-1] != moment.what or time.perf_counter() - began >= moment.delay:
                return True
        time.sleep(0.005)
    return False


def _events(trail: Path) -> Iterator[Event]:
    for line in trail.read_text().splitlines(keepends=True):
        parts = line.rstrip("\n").split("\t")
        # The last line may be written just now.
        if line.endswith("\n"):
            yield Event(float(parts[0]), parts[1], parts[2])


def _work(
    words: Sequence[str],
    environment: Mapping[str, str],
    output: Path,
    trail: Path,
    before: Callable[[], None] | None,
) -> None:
    """Be one command: a process group of its own that prints into files."""
    os.setpgrp()
    os.environ.update(environment)
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _report_into(trail)
    if before is not None:
        before()
    sys.argv = ["holdfast", *words]
    runpy.run_module("ml", run_name="__main__")


def _report_into(trail: Path) -> None:
    from ml import progress

    started = time.perf_counter()
    report = progress.Steps.step
    file = trail.open("a", buffering=1)

    @contextlib.contextmanager
    def step(steps: progress.Steps, name: str) -> Iterator[progress.Step]:
        def say(what: str, done: int, total: int) -> None:
            file.write(f"{time.perf_counter() - started:.3f}\t{name}\t{what}\n")

        say(name, 0, 0)
        with report(steps, name) as shown:
            bar = shown.progress

            def both(what: str, done: int, total: int) -> None:
                say(what, done, total)
                bar(what, done, total)

            shown.progress = both
            yield shown
        say("done", 0, 0)

    progress.Steps.step = step  # type: ignore[method-assign]
