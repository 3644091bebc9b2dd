"""Two warehouses side by side: how many cells differ, and which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from ml.errors import HoldfastError
from ml.profile import DUCKDB, engine_of
from ml.settings import Settings
from ml.warehouse import Warehouse, known_error, open_warehouse

# A table's memory of what it was built from is no cell of it.
_MEMORY = "built_from"


@dataclass(frozen=True)
class DifferentCell:
    """One cell that differs; both values as text, None for null."""

    key: str
    column: str
    standing: str | None
    rebuilt: str | None


@dataclass(frozen=True)
class Comparison:
    """What two versions of the same rows have in common.

    Attributes
    ----------
    rows
        Rows that either side has.
    columns
        Columns compared, the keys among them.
    missing_rows, extra_rows
        Rows that only the standing table has, and that only the rebuilt one has.
    different_cells
        Cells that differ in rows that both have.
    examples
        The first of them.
    """

    rows: int
    columns: int
    missing_rows: int
    extra_rows: int
    different_cells: int
    examples: tuple[DifferentCell, ...]

    @property
    def cells(self) -> int:
        """Cells compared."""
        return self.rows * self.columns

    @property
    def is_equal(self) -> bool:
        """Whether every cell is the same."""
        return not (self.missing_rows or self.extra_rows or self.different_cells)


class Sides:
    """Two warehouses in one connection, as the catalogs `standing` and `rebuilt`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def fetch(self, relation: str, where: str, params: Sequence[object]) -> None:
        """Have the rows of a relation at hand; DuckDB reads them where they are."""


class _CopiedSides(Sides):
    """Two databases of a server, which no query sees both of: their rows are copied."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, warehouses: Mapping[str, Warehouse]
    ) -> None:
        super().__init__(connection)
        self._warehouses = warehouses

    def fetch(self, relation: str, where: str, params: Sequence[object]) -> None:
        """Copy the rows of a relation from both."""
        for side, warehouse in self._warehouses.items():
            rows = warehouse.query(f"select * from {relation} where {where}", params)
            self.connection.register("fetched", rows)
            schema = relation.partition(".")[0]
            self.connection.execute(f"create schema if not exists {side}.{schema}")
            self.connection.execute(
                f"create or replace table {side}.{relation} as select * from fetched"
            )
            self.connection.unregister("fetched")


@contextmanager
def side_by_side(standing: Settings, rebuilt: Settings) -> Iterator[Sides]:
    """Open the warehouses of two projects for reading."""
    both = {"standing": standing, "rebuilt": rebuilt}
    with ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect())
        if engine_of(standing) != DUCKDB:
            for name in both:
                connection.execute(f"attach ':memory:' as {name}")
            opened = {
                name: stack.enter_context(open_warehouse(settings, read_only=True))
                for name, settings in both.items()
            }
            yield _CopiedSides(connection, opened)
            return
        try:
            for name, settings in both.items():
                quoted = str(settings.warehouse_path).replace("'", "''")
                connection.execute(f"attach '{quoted}' as {name} (read_only)")
            yield Sides(connection)
        except duckdb.Error as error:
            message = " ".join(str(error).split())
            path = standing.warehouse_path
            raise known_error(path, message) or HoldfastError(
                f"{path} and {rebuilt.warehouse_path} could not be compared: {message}"
            ) from error


def compare(
    both_sides: Sides,
    relation: str,
    *,
    key: str,
    where: str,
    params: Sequence[object] = (),
    examples: int = 5,
) -> Comparison:
    """Compare the rows of a relation that meet a condition, cell by cell.

    Parameters
    ----------
    both_sides
        As `side_by_side` gives them.
    relation
        ``schema.name``.
    key
        The column that is unique among the rows compared.
    where
        SQL condition with a ``?`` for each of `params`.
    examples
        How many different cells to show.

    Raises
    ------
    HoldfastError
        Where the two have other columns.
    """
    both_sides.fetch(relation, where, params)
    connection = both_sides.connection
    columns = _columns(connection, relation)
    sides = (
        f"with standing_rows as (select * from standing.{relation} where {where}), "
        f"rebuilt_rows as (select * from rebuilt.{relation} where {where}) "
    )
    both = [*params, *params]
    joined = f"from standing_rows as s full join rebuilt_rows as r on s.{key} = r.{key}"
    differs = [
        f'count(*) filter (where s."{name}" is distinct from r."{name}")' for name in columns
    ]
    in_both = f"s.{key} is not null and r.{key} is not null"
    found = connection.execute(
        f"{sides} select count(*), count(*) filter (where r.{key} is null), "
        f"count(*) filter (where s.{key} is null) {joined}",
        both,
    ).fetchone()
    counts = connection.execute(
        f"{sides} select {', '.join(differs)} {joined} where {in_both}", both
    ).fetchone()
    assert found is not None and counts is not None
    cells: list[DifferentCell] = []
    for name, count in zip(columns, counts, strict=True):
        if count and len(cells) < examples:
            rows = connection.execute(
                f'{sides} select s.{key}, s."{name}"::varchar, r."{name}"::varchar {joined} '
                f'where {in_both} and s."{name}" is distinct from r."{name}" order by 1 limit 2',
                both,
            ).fetchall()
            cells += [DifferentCell(str(row[0]), name, row[1], row[2]) for row in rows]
    return Comparison(
        rows=found[0],
        columns=len(columns),
        missing_rows=found[1],
        extra_rows=found[2],
        different_cells=sum(counts),
        examples=tuple(cells[:examples]),
    )


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    found: dict[str, list[Any]] = {}
    schema, name = relation.split(".")
    for catalog in ("standing", "rebuilt"):
        found[catalog] = [
            row[0]
            for row in connection.execute(
                "select column_name from duckdb_columns() where database_name = ? "
                "and schema_name = ? and table_name = ? order by column_index",
                [catalog, schema, name],
            ).fetchall()
        ]
    if found["standing"] != found["rebuilt"]:
        unlike = set(found["standing"]) ^ set(found["rebuilt"])
        raise HoldfastError(
            f"{relation} has other columns than the project's code gives it "
            f"({', '.join(sorted(unlike)) or 'their order'}). Build it first: `holdfast run` "
            "(or `dbt build`)."
        )
    return [column for column in found["standing"] if column != _MEMORY]
