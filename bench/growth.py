"""Growth: from raw files to the activity windows at several sizes, DuckDB's memory held to 4 GB.

The engagement path alone (bronze, silver and gold that the model needs), so that the largest
company ends within an hour on two cores. Companies beyond 50,000 customers repeat those under other
ids (`bench.inputs.large_company`).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from bench.inputs import MODEL, large_company
from bench.places import ROOT, Places, settings_in
from bench.process import Usage, measure
from bench.ratios import slope
from bench.sizes import Size
from ml.errors import HoldfastError

MEMORY_LIMIT = "4GB"
SLOPE_MARK = 1.3
_SLOPE_FROM = 50_000
# Characters of what a failed build said last.
_TOLD = 400

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One size.

    Attributes
    ----------
    rows
        Raw rows of activity.
    model_seconds
        dbt's execution time of the model `gold_activity_windows` alone.
    """

    customers: int
    months: int
    rows: int
    observations: int
    build: Usage
    model_seconds: float


def growth(places: Places, size: Size, only: list[str], say: Say) -> Iterator[dict[str, Any]]:
    """Build every size once; yield what JSON can hold, anew after each.

    Parameters
    ----------
    only
        The sizes to build, as text; all of them if none is named.
    """
    steps: list[Step] = []
    problems: dict[str, str] = {}
    for customers in size.growth_customers:
        if only and str(customers) not in only:
            continue
        say(f"{customers:,} customers: making the raw files")
        try:
            steps.append(_step(places, customers, size.months, say))
        except HoldfastError as error:
            # What a machine has no room for; the other sizes stand.
            say(str(error))
            problems[str(customers)] = str(error)[-_TOLD:]
        yield {
            "memory_limit": MEMORY_LIMIT,
            "steps": [asdict(step) for step in steps],
            "problems": problems,
            **slopes(steps),
            "mark": SLOPE_MARK,
        }


def slopes(steps: list[Step]) -> dict[str, float]:
    """Return how processor time and memory grow with rows, from 50,000 customers on."""
    large = [step for step in steps if step.customers >= _SLOPE_FROM] or steps
    if len(large) < 2:
        return {}
    rows = [step.rows for step in large]
    return {
        "slope_cpu": slope(rows, [step.build.cpu for step in large]),
        "slope_wall": slope(rows, [step.build.wall for step in large]),
        "slope_model": slope(rows, [step.model_seconds for step in large]),
        "slope_memory": slope(rows, [step.build.peak_mb for step in large]),
    }


def _step(places: Places, customers: int, months: int, say: Say) -> Step:
    company = large_company(places, customers, months)
    folder = places.folder / "growth"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        log = places.folder / "logs" / "growth.txt"
        step = _built(company / "raw", folder, customers, months, log)
    finally:
        shutil.rmtree(folder)
        if (company / "raw" / "activity").is_dir():
            # Made for this size alone, and larger than all else.
            shutil.rmtree(company)
    say(
        f"{customers:,} customers, {step.rows:,} raw rows: {step.build.wall:.0f} s, processor "
        f"{step.build.cpu:.0f} s, {step.build.peak_mb:,.0f} MB; the model "
        f"{step.model_seconds:.1f} s"
    )
    return step


def _built(raw: Path, folder: Path, customers: int, months: int, log: Path) -> Step:
    settings = settings_in(folder)
    profile = folder / "profiles.yml"
    profile.write_text(_profile(settings.warehouse_path))
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--select", f"+{MODEL}"]
    command += ["--exclude-resource-type", "unit_test", "test", "--project-dir", str(ROOT)]
    command += ["--profiles-dir", str(folder), "--log-path", str(settings.log_dir)]
    command += ["--vars", json.dumps({"raw_path": str(raw)})]
    usage = measure(
        command,
        environment={"HOLDFAST_LOCAL": str(folder), "DBT_TARGET_PATH": str(settings.target_dir)},
        log=log,
        cwd=ROOT,
    )
    results = json.loads((settings.target_dir / "run_results.json").read_text())["results"]
    seconds = {one["unique_id"].split(".")[-1]: one["execution_time"] for one in results}
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as warehouse:
        observations = warehouse.execute("select count(*) from gold.observations").fetchone()[0]
    activity = next(raw.glob("activity*"))
    files = activity / "*.parquet" if activity.is_dir() else activity
    ((rows,),) = duckdb.sql(f"select count(*) from read_parquet('{files}')").fetchall()
    return Step(customers, months, rows, observations, usage, seconds[MODEL])


def _profile(warehouse: object) -> str:
    return f"""holdfast:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{warehouse}"
      threads: 2
      settings:
        TimeZone: UTC
        preserve_insertion_order: false
        threads: 2
        memory_limit: {MEMORY_LIMIT}
"""
