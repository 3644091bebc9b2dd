"""What a reader of the published marts waits: at rest, at the swap, and beside a whole build.

Ten readers, each a process of its own, open the file, ask, look whether everything in it is of one
publication, and close it, again and again. Waits are from before the opening to the first answer.
Three stretches are measured in turn: nobody publishes; marts are published as fast as it goes; a
build of new data runs from raw files to published marts. A read is one at the swap when the file
was replaced while it waited, or it was its reader's first of the new file.

    .venv/bin/python bench/load/waits.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from readers import Reads, readers, troubles  # noqa: E402
from under_load import MIXTURES, Company  # noqa: E402

from ml.publish import publish  # noqa: E402
from ml.settings import load_settings  # noqa: E402

READERS = 10
EARLIER = datetime(2025, 1, 5)


class Swaps:
    """When the published file was replaced, and how long the replacing itself took."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self._replace = os.replace
        os.replace = self  # type: ignore[assignment]

    def __call__(self, source: object, target: object) -> None:
        """Replace a file, and note when."""
        started = time.monotonic()
        self._replace(source, target)  # type: ignore[arg-type]
        self.times.append((started, time.monotonic()))


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Return count, median, 99th percentile and maximum, in milliseconds."""
    if not seconds:
        return {"reads": 0, "median": None, "p99": None, "max": None}
    values = np.asarray(seconds) * 1000
    return {
        "reads": len(values),
        "median": round(float(np.median(values)), 1),
        "p99": round(float(np.percentile(values, 99)), 1),
        "max": round(float(values.max()), 1),
    }


def told(reads: Reads) -> dict[str, object]:
    """Return the waits at the swap and elsewhere, and what troubles there were."""
    at_swap = [
        read
        for own in reads.by_reader
        for before, read in zip(own, own[1:], strict=False)
        if before.file != read.file
    ]
    elsewhere = set(reads.all) - set(at_swap)
    return {
        "first read of a new file": percentiles([read.wait for read in at_swap]),
        "other reads": percentiles([read.wait for read in elsewhere]),
        "files seen": len({read.file for read in reads.all}),
        "troubles": troubles(reads.all),
    }


def measure(
    company: Company, whole: Company, publications: int, seconds: float, pause: float
) -> dict[str, object]:
    """Measure the three stretches on one company that has been built up to an earlier day."""
    found: dict[str, object] = {}
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        time.sleep(seconds)
    found["nobody publishes"] = told(reads)
    os.environ.update(company.environment)
    settings = load_settings(company.project)
    swaps = Swaps()
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        for number in range(publications):
            with duckdb.connect(str(company.warehouse)) as warehouse:
                warehouse.execute(f"comment on table marts.retention_worklist is '{number}'")
            publish(settings)
    found["publishing again and again"] = told(reads)
    found["the replacing itself"] = percentiles([end - start for start, end in swaps.times])
    company.take(whole.local / "raw")
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        ended = company.run("run")
    if ended.exit_code:
        raise SystemExit(f"The run failed: {ended.output}")
    found["a whole run"] = told(reads)
    return found


def main() -> int:
    """Measure, report; the exit code says whether a reader had trouble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--publications", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "waits.json"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="holdfast-readers-"))
    whole = Company.made(folder / "whole", customers=options.customers)
    company = whole.copy(folder / "company", until=EARLIER)
    ended = company.run("run")
    if ended.exit_code:
        raise SystemExit(f"The first run failed: {ended.output}")
    found = measure(company, whole, options.publications, options.seconds, options.pause)
    report = {
        "customers": options.customers,
        "readers": READERS,
        "published file in MB": round(company.marts.stat().st_size / 1e6, 1),
        "milliseconds": found,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    shutil.rmtree(folder)
    return int(any(isinstance(each, dict) and each.get("troubles") for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
