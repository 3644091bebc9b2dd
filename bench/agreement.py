"""Whether two contenders came to the same numbers, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.work import COLUMNS, KEYS, LAST


@dataclass(frozen=True)
class Agreement:
    """How the results of a contender compare with the reference.

    Attributes
    ----------
    cells
        Cells that were compared: all features of all observations.
    different
        Cells that differ, an observation that one of the two lacks among them with all its cells.
    """

    cells: int
    different: int


def compare(found: Path, reference: Path) -> Agreement:
    """Compare two results: whole numbers and dates as they are, minutes to the hundredth.

    Some peers add up in floating point; what they add up has two decimals.
    """
    features = [name for name in COLUMNS if name not in KEYS]
    distinct = " + ".join(
        f"(found.{name} is distinct from reference.{name})::integer" for name in features
    )
    with duckdb.connect() as connection:
        for name, path in (("found", found), ("reference", reference)):
            connection.execute(
                f"create view {name} as select {_canonical()} from read_parquet('{_pattern(path)}')"
            )
        rows, different = connection.execute(
            f"select count(*), coalesce(sum({distinct}), 0) from found full join reference "
            "on found.customer_id = reference.customer_id "
            "and found.as_of_date = reference.as_of_date"
        ).fetchone()
        # A key that came twice would pass a join.
        twice = connection.execute(
            "select count(*) - count(distinct (customer_id, as_of_date)) from found"
        ).fetchone()[0]
    return Agreement(rows * len(features), different + twice * len(features))


def _canonical() -> str:
    parts = []
    for name in COLUMNS:
        if name == "customer_id":
            parts.append(f"{name}::varchar as {name}")
        elif name in (*KEYS, LAST):
            parts.append(f"{name}::date as {name}")
        elif name.startswith("minutes"):
            parts.append(f"round(100 * coalesce({name}, 0))::bigint as {name}")
        else:
            parts.append(f"coalesce({name}, 0)::bigint as {name}")
    return ", ".join(parts)


def _pattern(path: Path) -> str:
    return f"{path}/*.parquet" if path.is_dir() else str(path)
