"""The work that everyone in the benchmark does. Standard library only: peers import it too."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WINDOWS = (7, 14, 30, 60, 90)
MEASURES = ("actions", "logins", "feature_uses", "minutes")
KEYS = ("customer_id", "as_of_date")
LAST = "last_activity_date"


@dataclass(frozen=True)
class Files:
    """What one contender reads, and where it writes.

    Attributes
    ----------
    activity
        Parquet: customer_id, activity_date, known_date and `MEASURES`, one row a customer, day and
        known day, in order of arrival. A day that became known in parts has several rows.
    observations
        Parquet: customer_id, as_of_date and more; one row an observation.
    out
        Parquet that the contender writes: `COLUMNS`, one row an observation.
    scratch
        An empty folder of its own, for what it keeps in between.
    """

    activity: Path
    observations: Path
    out: Path
    scratch: Path


def column(measure: str, days: int) -> str:
    """Return the name of a measure over a window.

    Examples
    --------
    >>> column("logins", 30)
    'logins_30d'
    """
    return f"{measure}_{days}d"


COLUMNS = (
    *KEYS,
    *(column(measure, days) for measure in (*MEASURES, "active_days") for days in WINDOWS),
    LAST,
)


def main(run: Callable[[Files], None]) -> None:
    """Run one contender with the files that the command line names."""
    parser = argparse.ArgumentParser(description=run.__doc__)
    for name in Files.__dataclass_fields__:
        parser.add_argument(f"--{name}", type=Path, required=True)
    run(Files(**vars(parser.parse_args())))
