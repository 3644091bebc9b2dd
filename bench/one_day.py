"""One more day: what dbt's models take when a day of rows has come, beside a full build.

The last days of a company are kept back: everything that became known on them. The rest is built
in full, a day is laid beside it as files of its own, as loaders do, and the same build runs again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from bench.inputs import company
from bench.places import Places, settings_in
from bench.sizes import Size
from ml import dbt
from ml.settings import Settings

FACTOR_MARK = 15
_MONTHS = (24, 48)
_DAYS = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class Build:
    """One build.

    Attributes
    ----------
    model_seconds
        The sum of dbt's execution times of models, without tests and dbt's own start.
    by_model
        The same for each model, the longest first.
    """

    what: str
    seconds: float
    model_seconds: float
    by_model: Mapping[str, float]


def one_more_day(places: Places, size: Size, say: Say) -> dict[str, Any]:
    """Measure histories of two lengths and return what JSON can hold."""
    customers = size.customers
    found = []
    for months in _MONTHS:
        say(f"{customers:,} customers over {months} months")
        found.append(_history(places, customers, months, say))
    shorter, longer = found
    return {
        "customers": customers,
        "histories": found,
        "full_over_day": [one["full_over_day"] for one in found],
        "mark": FACTOR_MARK,
        "longer_over_shorter": longer["day_median"] / shorter["day_median"],
    }


def model_time(run_results: Mapping[str, Any]) -> dict[str, float]:
    """Return dbt's execution time of each model of a run, the longest first."""
    taken = {
        result["unique_id"].split(".")[-1]: result["execution_time"]
        for result in run_results["results"]
        if result["unique_id"].startswith("model.")
    }
    return dict(sorted(taken.items(), key=lambda item: -item[1]))


def _history(places: Places, customers: int, months: int, say: Say) -> dict[str, Any]:
    whole = company(places, customers, months) / "raw"
    folder = places.folder / f"day_{months}"
    shutil.rmtree(folder, ignore_errors=True)
    settings = settings_in(folder)
    days = _last_days(whole, _DAYS)
    _lay(whole, folder / "raw", None, days[0])
    builds = [_build(settings, f"full, {months} months", say)]
    for since, until in pairwise([*days, None]):
        _lay(whole, folder / "raw", since, until)
        builds.append(_build(settings, "one more day", say))
    builds.append(_build(settings, "nothing new", say))
    shutil.rmtree(folder)
    day = median(build.model_seconds for build in builds[1:-1])
    return {
        "months": months,
        "builds": [asdict(build) for build in builds],
        "day_median": day,
        "full_over_day": builds[0].model_seconds / day,
    }


def _build(settings: Settings, what: str, say: Say) -> Build:
    result = dbt.build(settings, exclude=dbt.AFTER_SCORING)
    taken = model_time(json.loads((settings.target_dir / "run_results.json").read_text()))
    build = Build(what, result.seconds, sum(taken.values()), taken)
    say(f"{what}: models {build.model_seconds:.1f} s, all {build.seconds:.1f} s")
    return build


def _last_days(raw: Path, count: int) -> list[str]:
    """Return the midnights that the last days of the data begin with, the earliest first."""
    last = duckdb.sql(
        f"select max(known_at)::date from read_parquet('{raw}/activity.parquet')"
    ).fetchall()[0][0]
    rows = duckdb.sql(
        f"select (date '{last}' - day::integer)::varchar from range({count}) as days(day) "
        "order by 1"
    ).fetchall()
    return [row[0] for row in rows]


def _lay(whole: Path, raw: Path, since: str | None, until: str | None) -> None:
    """Write a file an entity of the rows that became known between two midnights.

    Without the first, all that was known before the second, and rows without that clock.
    """
    first = "true" if since is None else f"known_at >= timestamp '{since}'"
    last = "true" if until is None else f"known_at < timestamp '{until}'"
    timeless = "known_at is null" if since is None else "false"
    for path in sorted(whole.glob("*.parquet")):
        (raw / path.stem).mkdir(parents=True, exist_ok=True)
        duckdb.sql(
            f"copy (select * from read_parquet('{path}') where ({first} and {last}) or {timeless}) "
            f"to '{raw / path.stem}/{since or 'before'}.parquet' (format parquet)"
        )
