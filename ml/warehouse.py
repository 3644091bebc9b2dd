"""The warehouse as Python sees it: Arrow out, Arrow in, a slice replaced in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from ml.errors import ContractError, HoldfastError
from ml.memory import engine_limit
from ml.shortage import shortage

Params = Sequence[object] | Mapping[str, object]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOCK_HOLDER = re.compile(r"held in (?P<program>.*?) ?\(PID (?P<pid>\d+)\)")


class Warehouse:
    """A DuckDB warehouse, open for the length of a ``with`` block.

    While it is open for writing no other program can open the file: open it late, close it early.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Warehouse:
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

    @classmethod
    def require(cls, path: Path) -> None:
        """Raise as `open` would for reading: before work that would be in vain without one."""
        cls.open(path, read_only=True).close()

    def __enter__(self) -> Warehouse:
        """Return itself; it is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

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

    def columns(self, relation: str) -> dict[str, str]:
        """Return the columns of a relation, in order: name to type as the engine spells it.

        Raises
        ------
        ContractError
            Where the warehouse has no such relation.
        """
        schema, name = _split(relation)
        rows = self.query(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and schema_name = $1 and table_name = $2 "
            "order by column_index",
            [schema, name],
        )
        if rows.num_rows == 0:
            raise ContractError(
                f"{self.path} has no relation {relation}. Build it first: `holdfast run` "
                "(or `dbt build`)."
            )
        names, types = rows["column_name"].to_pylist(), rows["data_type"].to_pylist()
        return dict(zip(names, types, strict=True))

    def exists(self, relation: str) -> bool:
        """Return whether the warehouse has a table or view of this name."""
        try:
            self.columns(relation)
        except ContractError:
            return False
        return True

    def append(self, relation: str, rows: pa.Table) -> int:
        """Insert rows by name, in one transaction; return how many."""
        return self._write(relation, rows, where={})

    def replace_slice(
        self,
        relation: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        *,
        where: Mapping[str, object],
    ) -> int:
        """Replace the rows that match `where` by the given ones, in one transaction.

        The same slice written twice is as written once; a failure, a crash among them, leaves
        the old slice whole.

        Parameters
        ----------
        relation
            ``schema.name``.
        rows
            The new rows, inserted by name; exactly the columns of the relation. Batches may come
            from a generator, and are written as they come.
        where
            Column to value, equal in every row of the slice; null equals null.

        Returns
        -------
        int
            How many rows were inserted.
        """
        if not where:
            raise HoldfastError(
                f"Replacing a slice of {relation} needs the values that name the slice; none came."
            )
        return self._write(relation, rows, where=where)

    def _write(
        self,
        relation: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        *,
        where: Mapping[str, object],
    ) -> int:
        schema, name = _split(relation)
        columns = self.columns(relation)
        target = f'"{schema}"."{name}"'
        batches = [rows] if isinstance(rows, pa.Table) else rows
        written = 0
        with _readable_errors(self.path):
            self._connection.execute("begin transaction")
            try:
                if where:
                    condition = " and ".join(
                        f'"{_known(column, columns, relation)}" is not distinct from ?'
                        for column in where
                    )
                    self._connection.execute(
                        f"delete from {target} where {condition}", list(where.values())
                    )
                for batch in batches:
                    _check_columns(batch.schema.names, columns, relation)
                    if batch.num_rows:
                        self._insert(target, batch)
                        written += batch.num_rows
                self._connection.execute("commit")
            except BaseException:
                self._roll_back()
                raise
        return written

    def _insert(self, target: str, batch: pa.Table | pa.RecordBatch) -> None:
        rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._connection.register("new_rows", rows)
        try:
            self._connection.execute(f"insert into {target} by name select * from new_rows")
        finally:
            # After a failed insert the transaction takes no statement; rolling back unregisters.
            with suppress(duckdb.Error):
                self._connection.unregister("new_rows")

    def _roll_back(self) -> None:
        # After a fatal error the engine has rolled back already.
        with suppress(duckdb.Error):
            self._connection.execute("rollback")

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


def _split(relation: str) -> tuple[str, str]:
    """Return schema and name of ``schema.name``, both checked to be plain identifiers."""
    parts = relation.split(".")
    if len(parts) != 2 or not all(_IDENTIFIER.fullmatch(part) for part in parts):
        raise HoldfastError(
            f"A relation is named schema.name in letters, digits and _; {relation!r} came."
        )
    return parts[0], parts[1]


def _known(column: str, columns: Mapping[str, str], relation: str) -> str:
    if column not in columns:
        raise ContractError(f"{relation} has no column {column}; it has {', '.join(columns)}.")
    return column


def _check_columns(given: Sequence[str], columns: Mapping[str, str], relation: str) -> None:
    unknown = [name for name in given if name not in columns]
    missing = [name for name in columns if name not in given]
    if unknown or missing or len(set(given)) != len(given):
        raise ContractError(
            f"Rows for {relation} must have exactly its columns. Unknown: "
            f"{', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}."
        )
