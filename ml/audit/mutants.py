"""Mutants: leaks put into copies of the project, which the audits and tests must notice.

Each mutant of the zoo is applied to a throwaway copy. Then the killers run, the cheapest first, on
a small made-up company, until one of them fails: it has killed the mutant. A mutant that survives
all of them is a hole in the audits. Harmless rewrites go through the same, must raise no alarm, and
must make the same gold, cell by cell.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ml.audit.findings import new_audit_id, now, write_report
from ml.audit.scratch import audit_folder
from ml.audit.zoo import Mutant, read_zoo
from ml.errors import HoldfastError, UsageError
from ml.progress import Progress, silent
from ml.settings import Settings

AUDIT = "mutants"

# A company with every kind of row, small enough to build sixty times.
CUSTOMERS, MONTHS, SEED = 300, 14, 3
REPLAYED_DATES = 4
SCHEDULES = 5

UNIT_TESTS, DATA_TESTS = "unit tests", "data tests"
REPLAY, ARRIVALS, REFERENCE, PYTEST = "replay", "arrivals", "reference", "pytest"
_SAME_GOLD = "same gold"

# What a copy of the project does without: the environment and what was generated.
_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    "local",
    "target",
    "logs",
    "dbt_packages",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
)


@dataclass(frozen=True)
class Alarm:
    """A killer that failed on a copy.

    Attributes
    ----------
    killer
        Which.
    what
        What failed in it: tests by their names, or what was said.
    """

    killer: str
    what: str


@dataclass(frozen=True)
class Trial:
    """What became of one mutant.

    Attributes
    ----------
    ran
        The killers that ran, in order.
    alarms
        Those that failed.
    """

    name: str
    mistake: str
    file: str
    ran: tuple[str, ...]
    alarms: tuple[Alarm, ...]

    @property
    def is_leak(self) -> bool:
        """Whether it had to be noticed."""
        return bool(self.mistake)

    @property
    def is_as_it_should_be(self) -> bool:
        """Whether a leak raised an alarm, or a harmless rewrite none."""
        return bool(self.alarms) == self.is_leak


@dataclass(frozen=True)
class MutantsResult:
    """What became of all mutants.

    Attributes
    ----------
    is_complete
        Whether all that were asked for were tried; the report is written after each.
    trials
        Leaks first, in the order of the zoo.
    report
        The JSON file that says so.
    """

    audit_id: str
    created_at: datetime
    is_complete: bool
    trials: tuple[Trial, ...]
    report: Path

    @property
    def leaks(self) -> tuple[Trial, ...]:
        """Trials of leaks."""
        return tuple(trial for trial in self.trials if trial.is_leak)

    @property
    def harmless(self) -> tuple[Trial, ...]:
        """Trials of harmless rewrites."""
        return tuple(trial for trial in self.trials if not trial.is_leak)

    @property
    def is_green(self) -> bool:
        """Whether every leak was killed and no harmless rewrite was."""
        return all(trial.is_as_it_should_be for trial in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "audit_id": self.audit_id,
            "created_at": self.created_at,
            "is_complete": self.is_complete,
            "is_green": self.is_green,
            "leaks": len(self.leaks),
            "killed": sum(bool(trial.alarms) for trial in self.leaks),
            "harmless": len(self.harmless),
            "false_alarms": sum(bool(trial.alarms) for trial in self.harmless),
            "report": str(self.report),
            "trials": [
                {**vars(trial), "alarms": [vars(alarm) for alarm in trial.alarms]}
                for trial in self.trials
            ],
        }


def mutants(
    settings: Settings,
    *,
    names: Sequence[str] = (),
    every: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> MutantsResult:
    """Apply the mutants of the zoo, one at a time, and see what notices them.

    Parameters
    ----------
    settings
        The project; it must be Holdfast's own repository, and its warehouse is not touched.
    names
        Mutants of the zoo; none means all.
    every
        Whether the other killers run, too, once one has killed a mutant.
    jobs
        Mutants tried side by side.

    Raises
    ------
    UsageError
        Where the project holds no zoo, a name is not in it, or `jobs` is below 1.
    HoldfastError
        Where a patch fits no longer, or the project as it is does not pass.
    """
    if jobs < 1:
        raise UsageError(f"--jobs wants at least 1, not {jobs}.")
    say = progress or silent
    zoo = read_zoo(settings.project_dir, names)
    created_at = now()
    audit_id = new_audit_id(AUDIT, created_at)

    def told() -> MutantsResult:
        """Write down what became of the mutants so far: a long run cut off is not lost."""
        result = MutantsResult(
            audit_id=audit_id,
            created_at=created_at,
            is_complete=len(done) == len(zoo),
            trials=tuple(done[mutant.name] for mutant in zoo if mutant.name in done),
            report=settings.reports_dir / f"{audit_id}.json",
        )
        write_report(result.report, result.to_dict())
        return result

    done: dict[str, Trial] = {}
    with audit_folder(settings, AUDIT) as folder:
        say("The company", 0, len(zoo))
        company = _Company.found(settings.project_dir, folder)
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(_try, mutant, company, folder, every) for mutant in zoo]
            try:
                for each in as_completed(waiting):
                    trial = each.result()
                    done[trial.name] = trial
                    told()
                    say("Mutants", len(done), len(zoo))
            finally:
                for each in waiting:
                    each.cancel()
    return told()


# ---- a copy of the project and the company it is tried on ----------------------------------------


@dataclass(frozen=True)
class _Copy:
    """A copy of the project with a folder for all that it generates."""

    project_dir: Path
    local_dir: Path
    raw_dir: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module of the copy."""
        environment = {
            **os.environ,
            "HOLDFAST_LOCAL": str(self.local_dir),
            "DBT_TARGET_PATH": str(self.local_dir / "target"),
            "DBT_LOG_PATH": str(self.local_dir / "logs"),
            "PYTHONPATH": str(self.project_dir),
        }
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.project_dir,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def dbt(self, command: str, *words: str) -> str | None:
        """Run dbt; return None where it passes, else what failed."""
        given = json.dumps({"raw_path": str(self.raw_dir)})
        code = "from dbt.cli.main import cli; cli()"
        ended = self.run("-c", code, command, "--vars", given, *words)
        if ended.returncode == 0:
            return None
        path = self.local_dir / "target" / "run_results.json"
        failed: list[str] = []
        if path.is_file():
            results = json.loads(path.read_text(encoding="utf-8"))["results"]
            failed = [
                each["unique_id"].split(".")[2]
                for each in results
                if each["status"] in ("fail", "error", "runtime error")
            ]
        return ", ".join(failed) or _last_words(ended)

    def holdfast(self, *words: str) -> str | None:
        """Run an audit; return None where it is green, else what it said."""
        given = json.dumps({"raw_path": str(self.raw_dir)})
        ended = self.run("-m", "ml", "audit", *words, "--vars", given)
        return None if ended.returncode == 0 else _last_words(ended)

    def pytest(self, *files: str) -> str | None:
        """Run test files; return None where they pass, else the first that fails."""
        ended = self.run("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files)
        if ended.returncode == 0:
            return None
        failed = [
            line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))
        ]
        return failed[0].split(" - ")[0] if failed else _last_words(ended)


@dataclass(frozen=True)
class _Company:
    """The company that mutants are tried on, built by the project as it is."""

    project_dir: Path
    raw_dir: Path
    warehouse: Path

    @classmethod
    def found(cls, project_dir: Path, folder: Path) -> _Company:
        original = _copy(project_dir, folder / "original", folder / "company" / "raw")
        made = original.run(
            "-m", "ml", "simulate", "--customers", str(CUSTOMERS), "--months", str(MONTHS),
            "--seed", str(SEED), "--out", str(original.raw_dir),
        )  # fmt: skip
        if made.returncode:
            raise HoldfastError(f"The company could not be made: {_last_words(made)}")
        if failed := _data_tests(original):
            raise HoldfastError(f"The project as it is does not pass its own tests: {failed}.")
        return cls(project_dir, original.raw_dir, original.local_dir / "warehouse.duckdb")


def _copy(project_dir: Path, folder: Path, raw_dir: Path) -> _Copy:
    shutil.copytree(project_dir, folder / "project", ignore=_LEFT_OUT)
    local = folder / "local"
    local.mkdir()
    return _Copy(folder / "project", local, raw_dir)


def _last_words(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines[-3:]) or f"exit code {ended.returncode}"


# ---- the killers ---------------------------------------------------------------------------------


def _try(mutant: Mutant, company: _Company, folder: Path, every: bool) -> Trial:
    place = folder / mutant.name
    try:
        copy = _copy(company.project_dir, place, company.raw_dir)
        mutant.apply(copy.project_dir)
        ran: list[str] = []
        alarms: list[Alarm] = []
        for killer, kills in _killers(mutant, copy, company).items():
            ran.append(killer)
            if (what := kills()) is not None:
                alarms.append(Alarm(killer, what))
                if not every:
                    break
        return Trial(mutant.name, mutant.mistake, mutant.file, tuple(ran), tuple(alarms))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _killers(
    mutant: Mutant, copy: _Copy, company: _Company
) -> Mapping[str, Callable[[], str | None]]:
    """Return what may kill a mutant, the cheapest first."""
    named = {PYTEST: lambda: copy.pytest(*mutant.tests)}
    if mutant.file.endswith(".py"):
        return named
    killers: dict[str, Callable[[], str | None]] = {
        UNIT_TESTS: lambda: _unit_tests(copy, company),
        DATA_TESTS: lambda: _data_tests(copy),
        REPLAY: lambda: copy.holdfast("replay", "--sample", str(REPLAYED_DATES)),
    }
    if not mutant.is_leak:
        return {**killers, _SAME_GOLD: lambda: _other_gold(copy, company)}
    return {
        **killers,
        ARRIVALS: lambda: copy.holdfast("arrivals", "--schedules", str(SCHEDULES)),
        REFERENCE: lambda: copy.pytest("tests/python/test_reference.py"),
        **(named if mutant.tests else {}),
    }


def _unit_tests(copy: _Copy, company: _Company) -> str | None:
    # They look up the columns of the relations they stand in for.
    warehouse = copy.local_dir / "warehouse.duckdb"
    shutil.copyfile(company.warehouse, warehouse)
    try:
        return copy.dbt("test", "--select", "test_type:unit", "path:tests/macros")
    finally:
        warehouse.unlink()


def _data_tests(copy: _Copy) -> str | None:
    return copy.dbt("build", "--exclude-resource-type", "unit_test")


def _other_gold(copy: _Copy, company: _Company) -> str | None:
    """Return the gold tables that hold another cell than those of the project as it is."""
    connection = duckdb.connect()
    try:
        for name, path in (
            ("one", company.warehouse),
            ("other", copy.local_dir / "warehouse.duckdb"),
        ):
            connection.execute(
                f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as {name} (read_only)"
            )
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'one' "
            "and schema_name = 'gold' order by 1"
        ).fetchall()
        differ = []
        for (table,) in tables:
            cells = [
                f"select * exclude (built_from) from {name}.gold.{table}"
                if table != "as_of_dates"
                else f"from {name}.gold.{table}"
                for name in ("one", "other")
            ]
            found = connection.execute(
                f"select count(*) from (({cells[0]} except all {cells[1]}) "
                f"union all ({cells[1]} except all {cells[0]}))"
            ).fetchone()
            if found and found[0]:
                differ.append(table)
        return ", ".join(differ) or None
    finally:
        connection.close()
