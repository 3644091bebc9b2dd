"""Two frozen sets side by side: rows, columns, label rate, values changed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.frozen import sets
from ml.settings import Settings

_KEYS = ("as_of_date", "customer_id")
_TARGET = "is_churn"
_EXAMPLES = 2


@dataclass(frozen=True)
class ChangedCell:
    """One cell with another value; None for null."""

    customer_id: str
    as_of_date: str
    value_a: str | None
    value_b: str | None


@dataclass(frozen=True)
class ChangedColumn:
    """One column of which cells differ, among the rows that both sets have."""

    column: str
    cells: int
    examples: tuple[ChangedCell, ...]


@dataclass(frozen=True)
class Difference:
    """How a set B differs from a set A.

    Attributes
    ----------
    rows_a, rows_b, shared_rows
        Rows of each, and those with a key in both.
    columns_only_a, columns_only_b
        Columns that the other lacks.
    other_types
        Columns of another type in B: name to both types.
    label_rate_a, label_rate_b
        Share of rows that churned.
    changed_columns
        Of the columns that both have with one type, those with cells that differ in shared rows.
    changed_dates
        As-of dates with a row or a cell that differs.
    """

    rows_a: int
    rows_b: int
    shared_rows: int
    columns_only_a: tuple[str, ...]
    columns_only_b: tuple[str, ...]
    other_types: dict[str, tuple[str, str]]
    label_rate_a: float | None
    label_rate_b: float | None
    changed_columns: tuple[ChangedColumn, ...]
    changed_dates: tuple[str, ...]

    @property
    def rows_only_a(self) -> int:
        """Rows that B lacks."""
        return self.rows_a - self.shared_rows

    @property
    def rows_only_b(self) -> int:
        """Rows that A lacks."""
        return self.rows_b - self.shared_rows

    @property
    def changed_cells(self) -> int:
        """Cells that differ in rows and columns that both have."""
        return sum(each.cells for each in self.changed_columns)

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.rows_only_a
            or self.rows_only_b
            or self.columns_only_a
            or self.columns_only_b
            or self.other_types
            or self.changed_columns
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON can hold it."""
        return {
            "is_same": self.is_same,
            "rows_only_a": self.rows_only_a,
            "rows_only_b": self.rows_only_b,
            "changed_cells": self.changed_cells,
            **asdict(self),
        }


def diff(settings: Settings, name_a: str, name_b: str) -> Difference:
    """Compare two frozen sets, each named by its id or the beginning of it.

    Raises
    ------
    UsageError
        Where a name does not name one set.
    DataError
        Where a file is gone or was changed.
    """
    paths = [sets.verify(settings, sets.named(settings, name)) for name in (name_a, name_b)]
    return compare(*paths)


def compare(path_a: Path, path_b: Path) -> Difference:
    """Compare the rows of two Parquet files that have the keys of a training set."""
    schema_a, schema_b = (pq.read_schema(path) for path in (path_a, path_b))
    shared = [name for name in schema_a.names if name in schema_b.names]
    other_types = {
        name: (str(schema_a.field(name).type), str(schema_b.field(name).type))
        for name in shared
        if schema_a.field(name).type != schema_b.field(name).type
    }
    compared = [name for name in shared if name not in other_types and name not in _KEYS]
    connection = duckdb.connect()
    try:
        for side, path in (("a", path_a), ("b", path_b)):
            connection.read_parquet(str(path)).create_view(f"rows_{side}")
        return _compare(connection, schema_a, schema_b, compared, other_types)
    except duckdb.Error as error:
        raise DataError(
            f"{path_a} and {path_b} could not be compared: {' '.join(str(error).split())}"
        ) from error
    finally:
        connection.close()


def _compare(
    connection: duckdb.DuckDBPyConnection,
    schema_a: pa.Schema,
    schema_b: pa.Schema,
    compared: list[str],
    other_types: dict[str, tuple[str, str]],
) -> Difference:
    on = " and ".join(f"a.{key} = b.{key}" for key in _KEYS)
    in_both = "a.customer_id is not null and b.customer_id is not null"
    # The names were read from the files and are quoted; they are columns of gold.
    differs = {name: f'a."{name}" is distinct from b."{name}"' for name in compared}
    counts = ", ".join(
        f"count(*) filter (where {in_both} and {differs[name]})" for name in compared
    )
    joined = f"from rows_a as a full join rows_b as b on {on}"
    found = connection.execute(
        "select count(a.customer_id), count(b.customer_id), "
        f"count(*) filter (where {in_both}){', ' + counts if counts else ''} {joined}"
    ).fetchone()
    assert found is not None
    rows_a, rows_b, shared_rows, *cells = found
    changed = {name: count for name, count in zip(compared, cells, strict=True) if count}
    any_cell = " or ".join(differs[name] for name in changed) or "false"
    dates = connection.execute(
        f"select distinct cast(coalesce(a.as_of_date, b.as_of_date) as varchar) {joined} "
        f"where not ({in_both}) or {any_cell} order by 1"
    ).fetchall()
    return Difference(
        rows_a=rows_a,
        rows_b=rows_b,
        shared_rows=shared_rows,
        columns_only_a=tuple(name for name in schema_a.names if name not in schema_b.names),
        columns_only_b=tuple(name for name in schema_b.names if name not in schema_a.names),
        other_types=other_types,
        label_rate_a=_label_rate(connection, "rows_a", schema_a),
        label_rate_b=_label_rate(connection, "rows_b", schema_b),
        changed_columns=tuple(
            ChangedColumn(
                name,
                count,
                tuple(
                    ChangedCell(*row)
                    for row in connection.execute(
                        "select a.customer_id, cast(a.as_of_date as varchar), "
                        f'cast(a."{name}" as varchar), cast(b."{name}" as varchar) {joined} '
                        f"where {in_both} and {differs[name]} "
                        f"order by a.as_of_date, a.customer_id limit {_EXAMPLES}"
                    ).fetchall()
                ),
            )
            for name, count in changed.items()
        ),
        changed_dates=tuple(day for (day,) in dates),
    )


def _label_rate(
    connection: duckdb.DuckDBPyConnection, rows: str, schema: pa.Schema
) -> float | None:
    if _TARGET not in schema.names:
        return None
    found = connection.execute(f"select avg(cast({_TARGET} as integer)) from {rows}").fetchone()
    return None if found is None or found[0] is None else float(found[0])
