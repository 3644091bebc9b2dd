"""What every warehouse offers, whatever its engine."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from ml.errors import ContractError, HoldfastError

Params = Sequence[object] | Mapping[str, object]
"""Values of a statement: by place for ``?`` and ``$1``, by name for ``$name``."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A text, a quoted name, or a parameter: only the last is one.
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?|\$\w+")


@dataclass(frozen=True)
class Relation:
    """A table or view of the warehouse."""

    schema: str
    name: str
    is_view: bool

    def __str__(self) -> str:
        """Return ``schema.name``."""
        return f"{self.schema}.{self.name}"


class Warehouse(ABC):
    """A warehouse, open for the length of a ``with`` block; `open_warehouse` opens one.

    Statements are written in the SQL that all engines share, with parameters as ``?``, ``$1`` or
    ``$name``; each engine turns them into its own.

    Attributes
    ----------
    address
        Where it is, for messages: a file, or a database and its server.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Self:
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

    @abstractmethod
    def close(self) -> None:
        """Close it; closing twice does nothing."""

    @abstractmethod
    def query(self, sql: str, params: Params = ()) -> pa.Table:
        """Return the whole result of one query."""

    @abstractmethod
    def stream(
        self, sql: str, params: Params = (), batch_rows: int = 100_000
    ) -> Iterator[pa.RecordBatch]:
        """Yield the result of one query in batches of at most `batch_rows` rows.

        Other statements can run between two batches.
        """

    @abstractmethod
    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement whose result nobody needs."""

    @abstractmethod
    def relations(self, schemas: Sequence[str] | None = None) -> list[Relation]:
        """Return the tables and views of these schemas, or of all that are not the engine's own.

        In the order of their names.
        """

    @abstractmethod
    def contents(self, relation: str, *, by: str, without: Sequence[str] = ()) -> dict[object, str]:
        """Return, for each value of an expression, a text that any change of its rows changes.

        It is the engine's own fast hash, whatever the order of rows: compare it only with what the
        same engine says. `without` names columns that are left out.
        """

    def is_one_of(self, column: str, mark: str) -> str:
        """Return the condition that a column is among the values of a parameter that is a list."""
        return f"{column} = any({mark})"

    def in_code_order(self, column: str) -> str:
        """Return a text as it sorts by its characters' codes, for an ``order by``."""
        return column

    def likeness(self, column: str, mark: str) -> str:
        """Return a number that is higher the more a text is like that of a parameter."""
        return f"-abs(length({column}) - length({mark}))"

    @abstractmethod
    def _found_columns(self, schema: str, name: str) -> dict[str, str]:
        """Return name to type of the columns, in order; nothing where there is no such relation."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block; leave everything as it was where it raises."""

    @abstractmethod
    def _delete(self, target: str, condition: str, values: Sequence[object]) -> None:
        """Delete the rows of a relation that meet a condition with ``?`` for values."""

    @abstractmethod
    def _insert(self, target: str, batch: pa.Table | pa.RecordBatch) -> None:
        """Insert rows by name into a relation that has exactly these columns."""

    def columns(self, relation: str) -> dict[str, str]:
        """Return the columns of a relation, in order: name to type as the engine spells it.

        Raises
        ------
        ContractError
            Where the warehouse has no such relation.
        """
        found = self._found_columns(*split_name(relation))
        if not found:
            raise ContractError(
                f"{self.address} has no relation {relation}. Build it first: `holdfast run` "
                "(or `dbt build`)."
            )
        return found

    def content(self, relation: str) -> str:
        """Return a text that any change of the rows of a relation changes, their order aside."""
        return self.contents(relation, by="1").get(1, "0")

    def exists(self, relation: str) -> bool:
        """Return whether the warehouse has a table or view of this name."""
        return bool(self._found_columns(*split_name(relation)))

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
        schema, name = split_name(relation)
        columns = self.columns(relation)
        target = f'"{schema}"."{name}"'
        batches = [rows] if isinstance(rows, pa.Table) else rows
        written = 0
        with self._transaction():
            if where:
                condition = " and ".join(
                    f'"{known_column(column, columns, relation)}" is not distinct from ?'
                    for column in where
                )
                self._delete(target, condition, list(where.values()))
            for batch in batches:
                check_columns(batch.schema.names, columns, relation)
                if batch.num_rows:
                    self._insert(target, batch)
                    written += batch.num_rows
        return written


def split_name(relation: str) -> tuple[str, str]:
    """Return schema and name of ``schema.name``, both checked to be plain identifiers."""
    parts = relation.split(".")
    if len(parts) != 2 or not all(_IDENTIFIER.fullmatch(part) for part in parts):
        raise HoldfastError(
            f"A relation is named schema.name in letters, digits and _; {relation!r} came."
        )
    return parts[0], parts[1]


def check_columns(given: Sequence[str], columns: Mapping[str, str], relation: str) -> None:
    """Raise where rows have not exactly the columns of a relation, in any order."""
    unknown = [name for name in given if name not in columns]
    missing = [name for name in columns if name not in given]
    if unknown or missing or len(set(given)) != len(given):
        raise ContractError(
            f"Rows for {relation} must have exactly its columns. Unknown: "
            f"{', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}."
        )


def by_place(sql: str, params: Params, mark: str = "?") -> tuple[str, list[object]]:
    """Return a statement whose parameters are all `mark`, and its values in their order.

    Examples
    --------
    >>> by_place("select '?', $1, $2, $1", ["a", "b"])
    ("select '?', ?, ?, ?", ['a', 'b', 'a'])
    >>> by_place("select $x, ?", {"x": 1})
    Traceback (most recent call last):
        ...
    ml.errors.HoldfastError: A statement has the parameter ?, and the values given are x.
    """
    values: list[object] = []
    places = iter(()) if isinstance(params, Mapping) else iter(params)

    def placed(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] not in "?$":
            return token
        try:
            if token == "?":
                values.append(next(places))
            elif isinstance(params, Mapping):
                values.append(params[token[1:]])
            else:
                values.append(params[int(token[1:]) - 1])
        except (StopIteration, KeyError, IndexError, ValueError):
            given = ", ".join(params) if isinstance(params, Mapping) else f"{len(params)} in number"
            raise HoldfastError(
                f"A statement has the parameter {token}, and the values given are {given}."
            ) from None
        return mark

    return _TOKEN.sub(placed, sql), values


def quoted(name: str) -> str:
    """Return a name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(value: str) -> str:
    """Return a text as SQL quotes it, for statements that take no parameters."""
    return "'" + value.replace("'", "''") + "'"


def known_column(column: str, columns: Mapping[str, str], relation: str) -> str:
    """Return the name of a column, which the relation must have."""
    if column not in columns:
        raise ContractError(f"{relation} has no column {column}; it has {', '.join(columns)}.")
    return column
