"""What a reader of the published marts waits: at rest, at the swap, and beside a whole build.

Ten readers, each a process of its own, open the file, ask, look whether everything in it is of one
publication, and close it, again and again. Waits are from before the opening to the first answer.
Three stretches are measured in turn: nobody publishes; marts are published as fast as it goes; a
build of new data runs from raw files to published marts. A read is one at the swap when the file
was replaced while it waited, or it was its reader's first of the new file.

    .venv/bin/python bench/load/readers.py
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
from pathlib import Path

import duckdb
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from readers import Read, readers, troubles  # noqa: E402
from under_load import MIXTURES, Company  # noqa: E402

from ml.publish import publish  # noqa: E402
from ml.settings import load_settings  # noqa: E402

READERS = 10
EARLIER = {"known_until": "2025-01-05"}


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


def told(stretches: Sequence[Sequence[Read]], reads: Sequence[Read]) -> dict[str, object]:
    """Return the waits at the swap and elsewhere, and what troubles there were."""
    return {
        "elsewhere": percentiles([read.wait for read in reads if read not in stretches[0]]),
        "at the swap": percentiles([read.wait for read in stretches[0]]),
        "files seen": len({read.file for read in reads}),
        "troubles": troubles(reads),
    }


def at_swaps(by_reader: Sequence[Sequence[Read]]) -> list[Read]:
    """Return the reads during which the file was replaced, and the first of each new file."""
    return [
        read
        for own in by_reader
        for before, read in zip(own, own[1:], strict=False)
        if before.file != read.file
    ]


def measure(company: Company, publications: int, seconds: float, pause: float) -> dict[str, object]:
    """Measure the three stretches on one company that has been built up to an earlier day."""
    found: dict[str, object] = {}
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        time.sleep(seconds)
    found["nobody publishes"] = told([at_swaps(reads.by_reader)], reads.all)
    os.environ.update(company.environment)
    settings = load_settings(company.project)
    swaps = Swaps()
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        for number in range(publications):
            with duckdb.connect(str(company.warehouse)) as warehouse:
                warehouse.execute(f"comment on table marts.retention_worklist is '{number}'")
            publish(settings)
    found["publishing again and again"] = told([at_swaps(reads.by_reader)], reads.all)
    found["the replacing itself"] = percentiles([end - start for start, end in swaps.times])
    with readers(company.marts, MIXTURES, count=READERS, pause=pause) as reads:
        ended = company.run("run")
    if ended.exit_code:
        raise SystemExit(f"The run failed: {ended.output}")
    found["a whole run"] = told([at_swaps(reads.by_reader)], reads.all)
    return found


def main() -> int:
    """Measure, report; the exit code says whether a reader had trouble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--publications", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "readers.json"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="holdfast-readers-"))
    company = Company.made(folder, customers=options.customers)
    ended = company.run("run", vars=EARLIER)
    if ended.exit_code:
        raise SystemExit(f"The first run failed: {ended.output}")
    found = measure(company, options.publications, options.seconds, options.pause)
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
