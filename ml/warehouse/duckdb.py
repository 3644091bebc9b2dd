"""A DuckDB warehouse: one file, which one program at a time can write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ml.errors import HoldfastError
from ml.memory import engine_limit
from ml.shortage import shortage
from ml.warehouse.base import Params, Relation, Warehouse

_LOCK_HOLDER = re.compile(r"held in (?P<program>.*?) ?\(PID (?P<pid>\d+)\)")


class DuckDBWarehouse(Warehouse):
    """A DuckDB file.

    While it is open for writing no other program can open the file: open it late, close it early.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        super().__init__(str(path))
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> DuckDBWarehouse:
        """Open the warehouse file, which must exist when it is opened for reading.

        Raises
        ------
        HoldfastError
            Where there is no such file, another program holds it, or it is no DuckDB file.
        """
        if read_only and not path.is_file():
            raise HoldfastError(
                f"There is no warehouse at {path}. Build it first: `holdfast run` (or `dbt build`)."
            )
        try:
            connection = duckdb.connect(str(path), read_only=read_only)
            # An absent table must be an error, never a Python variable of that name.
            connection.execute("set global python_enable_replacements = false")
            connection.execute(f"set global memory_limit = '{engine_limit()}'")
            return cls(connection, path)
        except duckdb.Error as error:
            raise _engine_error(path, error) from error

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        self._connection.close()

    def query(self, sql: str, params: Params = ()) -> pa.Table:
        """Return the whole result of one query."""
        with _readable_errors(self.path):
            return self._relation(self._connection, sql, params).to_arrow_table()

    def stream(
        self, sql: str, params: Params = (), batch_rows: int = 100_000
    ) -> Iterator[pa.RecordBatch]:
        """Yield the result of one query in batches of at most `batch_rows` rows."""
        # Its own cursor, so that other statements can run between two batches.
        with _readable_errors(self.path), self._connection.cursor() as cursor:
            yield from self._relation(cursor, sql, params).to_arrow_reader(batch_rows)

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement whose result nobody needs."""
        with _readable_errors(self.path):
            self._connection.execute(sql, _bound(params))

    def relations(self, schemas: Sequence[str] | None = None) -> list[Relation]:
        """Return the tables and views of these schemas, or of all that are not the engine's own."""
        found = self.query(
            "select schema_name, table_name as name, false as is_view from duckdb_tables() "
            "where database_name = current_database() and not internal and not temporary "
            "union all "
            "select schema_name, view_name, true from duckdb_views() "
            "where database_name = current_database() and not internal and not temporary "
            "order by 1, 2"
        ).to_pylist()
        return [
            Relation(row["schema_name"], row["name"], row["is_view"])
            for row in found
            if schemas is None or row["schema_name"] in schemas
        ]

    def contents(self, relation: str, *, by: str, without: Sequence[str] = ()) -> dict[object, str]:
        """Return, for each value of an expression, a text that any change of its rows changes."""
        left_out = f" exclude ({', '.join(without)})" if without else ""
        # The sum of 64-bit hashes counts rows that come twice, which an exclusive or would not.
        found = self.query(
            f"select {by} as part, "
            "count(*) || ' ' || coalesce(sum(hash(cells)::hugeint), 0) as content "
            f"from (select *{left_out} from {relation}) as cells group by 1"
        )
        return dict(zip(found["part"].to_pylist(), found["content"].to_pylist(), strict=True))

    def is_one_of(self, column: str, mark: str) -> str:
        """Return the condition that a column is among the values of a parameter that is a list."""
        # A join by hash; `any` would look through the whole list for each row.
        return f"{column} in (select unnest({mark}))"

    def likeness(self, column: str, mark: str) -> str:
        """Return a number that is higher the more a text is like that of a parameter."""
        return f"jaro_winkler_similarity({column}, {mark})"

    def _found_columns(self, schema: str, name: str) -> dict[str, str]:
        rows = self.query(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and schema_name = $1 and table_name = $2 "
            "order by column_index",
            [schema, name],
        )
        names, types = rows["column_name"].to_pylist(), rows["data_type"].to_pylist()
        return dict(zip(names, types, strict=True))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _readable_errors(self.path):
            self._connection.execute("begin transaction")
            try:
                yield
                self._connection.execute("commit")
            except BaseException:
                # After a fatal error the engine has rolled back already.
                with suppress(duckdb.Error):
                    self._connection.execute("rollback")
                raise

    def _delete(self, target: str, condition: str, values: Sequence[object]) -> None:
        self._connection.execute(f"delete from {target} where {condition}", list(values))

    def _insert(self, target: str, batch: pa.Table | pa.RecordBatch) -> None:
        rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._connection.register("new_rows", rows)
        try:
            self._connection.execute(f"insert into {target} by name select * from new_rows")
        finally:
            # After a failed insert the transaction takes no statement; rolling back unregisters.
            with suppress(duckdb.Error):
                self._connection.unregister("new_rows")

    @staticmethod
    def _relation(
        connection: duckdb.DuckDBPyConnection, sql: str, params: Params
    ) -> duckdb.DuckDBPyRelation:
        bound = _bound(params)
        return connection.sql(sql, params=bound) if bound else connection.sql(sql)


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turn the engine's errors into sentences that say what to do."""
    try:
        yield
    except duckdb.Error as error:
        raise _engine_error(path, error) from error


def known_error(path: Path, message: str) -> HoldfastError | None:
    """Return what to do about a warehouse that is locked, full or not ours to write, if it is that.

    Parameters
    ----------
    path
        The file that was opened.
    message
        What the engine said.
    """
    said = " ".join(message.split())
    lowered = said.lower()
    if "could not set lock" in lowered:
        holder = _LOCK_HOLDER.search(said)
        who = f"{holder['program']} (process {holder['pid']})" if holder else "another program"
        return HoldfastError(
            f"The warehouse {path} is locked: {who} has it open. Close that program and try again; "
            "to read while Holdfast writes, open marts.duckdb instead."
        )
    if (short := shortage(path.parent, said)) is not None:
        return short
    if "permission denied" in lowered or "read-only file system" in lowered:
        return HoldfastError(
            f"{path} cannot be written. Give this user the right to write in {path.parent}, or "
            "name another folder in the environment variable HOLDFAST_LOCAL. The engine said: "
            f"{said}"
        )
    return None


def _engine_error(path: Path, error: duckdb.Error) -> HoldfastError:
    message = " ".join(str(error).split())
    return known_error(path, message) or HoldfastError(f"The warehouse {path} refused: {message}")


def _bound(params: Params) -> Any:
    return dict(params) if isinstance(params, Mapping) else list(params)
