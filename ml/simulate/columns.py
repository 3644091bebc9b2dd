"""Columns as whole numbers: how a table is held between its making and its writing.

Every column of the demo company is an ``int64`` array, whatever its type in the file: ids are
running numbers, words are positions in a vocabulary, money is in hundredths, timestamps are
microseconds since 1970. `NULL` marks a missing value. So repeats, corrections and breakages are
the same few array operations on every entity, and strings are made once, at the end, in bulk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Columns = dict[str, Ints]

NULL = int(np.iinfo(np.int64).min)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_QUADS = np.array([list(f"{number:04d}".encode()) for number in range(10_000)], dtype=np.uint8)


@dataclass(frozen=True)
class Identifier:
    """A running number, written as a prefix and zero-padded digits."""

    prefix: str
    digits: int = 12
    arrow: pa.DataType = pa.string()

    def encode(self, values: Ints) -> pa.Array:
        """Return the numbers as strings of one width."""
        known = values != NULL
        numbers = np.where(known, values, 0)
        head = np.frombuffer(self.prefix.encode(), dtype=np.uint8)
        text = np.empty((len(values), len(head) + self.digits), dtype=np.uint8)
        text[:, : len(head)] = head
        for end in range(text.shape[1], len(head), -4):
            numbers, quad = np.divmod(numbers, 10_000)
            text[:, end - 4 : end] = _QUADS[quad]
        offsets = np.arange(len(values) + 1, dtype=np.int32) * text.shape[1]
        return pa.Array.from_buffers(
            self.arrow, len(values), [_validity(known), pa.py_buffer(offsets), pa.py_buffer(text)]
        )


@dataclass(frozen=True)
class Words:
    """A position in a vocabulary."""

    words: tuple[str, ...]
    arrow: pa.DataType = pa.string()

    def encode(self, values: Ints) -> pa.Array:
        """Return the words at the positions."""
        known = values != NULL
        places = pa.array(np.where(known, values, 0).astype(np.int32), mask=~known)
        return pa.array(self.words, pa.string()).take(places)


@dataclass(frozen=True)
class Decimal:
    """A whole number of the smallest unit of a decimal of 18 digits."""

    scale: int

    @property
    def arrow(self) -> pa.DataType:
        """The decimal type."""
        return pa.decimal128(18, self.scale)

    def encode(self, values: Ints) -> pa.Array:
        """Return the numbers as decimals, by their 128-bit little-endian form."""
        known = values != NULL
        halves = np.empty((len(values), 2), dtype=np.int64)
        halves[:, 0] = values
        halves[:, 1] = values >> 63
        return pa.Array.from_buffers(
            self.arrow, len(values), [_validity(known), pa.py_buffer(halves)]
        )


@dataclass(frozen=True)
class Plain:
    """A type that Arrow casts whole numbers to by itself: integer, boolean or timestamp."""

    arrow: pa.DataType

    def encode(self, values: Ints) -> pa.Array:
        """Return the numbers in the Arrow type."""
        known = values != NULL
        if pa.types.is_timestamp(self.arrow):
            return pa.Array.from_buffers(
                self.arrow, len(values), [_validity(known), pa.py_buffer(values)]
            )
        kind: Any = bool if pa.types.is_boolean(self.arrow) else np.int32
        return pa.array(np.where(known, values, 0).astype(kind), self.arrow, mask=~known)


Kind = Identifier | Words | Decimal | Plain
TIMESTAMP = Plain(pa.timestamp("us"))
INTEGER = Plain(pa.int32())
BOOLEAN = Plain(pa.bool_())
MONEY = Decimal(2)
RATIO = Decimal(6)


def _validity(known: Bools) -> pa.Buffer | None:
    """Return Arrow's bitmap of the values that are there, None when all are."""
    if known.all():
        return None
    return pa.py_buffer(np.packbits(known, bitorder="little"))


def arrow_schema(kinds: Mapping[str, Kind]) -> pa.Schema:
    """Return the Arrow schema of a table of these columns."""
    return pa.schema([(name, kind.arrow) for name, kind in kinds.items()])


def encode(columns: Columns, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return the columns as an Arrow table, in the order of `kinds`."""
    arrays = [kind.encode(np.ascontiguousarray(columns[name])) for name, kind in kinds.items()]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(kinds))


def stack(parts: Sequence[Columns]) -> Columns:
    """Return tables of the same columns below each other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def take(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    """Return the chosen rows: positions, or a mask."""
    return {name: values[rows] for name, values in columns.items()}


def rows_of(columns: Columns) -> int:
    """Return how many rows a table has."""
    return len(columns["known_at"])
