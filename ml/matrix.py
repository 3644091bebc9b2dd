"""From Arrow columns to what a model reads, and from values to text: every conversion, once."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.contract import kind_of

Rows: TypeAlias = pa.Table | pa.RecordBatch


def to_frame(rows: Rows, types: Mapping[str, str]) -> pd.DataFrame:
    """Return the features of `types` as a frame of shape `(n_observations, n_features)`.

    Numbers and booleans become float64 with nan for null, categories become objects (a string,
    or None for null). Columns of numbers come first, categories last, each in the order given.

    Raises
    ------
    KeyError
        If a feature is absent: callers compare the columns with the contract first.
    """
    return gather_frame([rows], types, rows.num_rows)


def gather_frame(batches: Iterable[Rows], types: Mapping[str, str], count: int) -> pd.DataFrame:
    """Return the frame of `to_frame` from `count` rows that come in batches.

    Each batch is converted as it comes, so that the Arrow form of all rows is never held: gold's
    decimals take twice the room of a float.

    Raises
    ------
    ValueError
        If other than `count` rows come.
    """
    kinds = {name: kind_of(name, data_type) for name, data_type in types.items()}
    numbers = [name for name, kind in kinds.items() if kind != "category"]
    categories = [name for name, kind in kinds.items() if kind == "category"]
    block = np.empty((count, len(numbers)), order="F")
    words: dict[str, list[NDArray[np.object_]]] = {name: [] for name in categories}
    start = 0
    for batch in batches:
        stop = start + batch.num_rows
        if stop > count:
            break
        for position, name in enumerate(numbers):
            block[start:stop, position] = to_floats(batch.column(name))
        for name in categories:
            words[name].append(to_objects(batch.column(name)))
        start = stop
    if start != count:
        raise ValueError(f"expected {count} rows, got {start} before the last batch")
    frame = pd.DataFrame(block, columns=pd.Index(numbers, dtype=object), copy=False)
    for name in categories:
        column = np.concatenate(words[name]) if words[name] else np.empty(0, dtype=object)
        frame[name] = pd.Series(column, dtype=object, index=frame.index)
    return frame


def to_floats(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Return integers, decimals, doubles or booleans as float64, null as nan."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    floats = _one(column).cast(pa.float64(), safe=False)
    return np.asarray(floats.to_numpy(zero_copy_only=False), dtype=np.float64)


def to_objects(column: pa.ChunkedArray | pa.Array) -> NDArray[np.object_]:
    """Return strings as objects, null as None; equal strings share one object."""
    encoded = _one(column.cast(pa.string())).dictionary_encode()
    words = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    objects: NDArray[np.object_] = words[codes]
    return objects


def to_days(column: pa.ChunkedArray | pa.Array) -> NDArray[np.datetime64]:
    """Return dates or timestamps as `datetime64[us]`, null as NaT."""
    return np.asarray(_one(column.cast(pa.timestamp("us"))).to_numpy(zero_copy_only=False))


def to_codes(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    """Return codes 0 .. n - 1 of a string column, and the sorted strings; null reads as "".

    Examples
    --------
    >>> to_codes(pa.array(["b", "a", "b"]))
    (array([1, 0, 1]), ['a', 'b'])
    """
    encoded = _one(column.cast(pa.string())).fill_null("").dictionary_encode()
    words = encoded.dictionary.to_pylist()
    order = np.argsort(np.asarray(words, dtype=object), kind="stable")
    place = np.empty(len(words), dtype=np.int64)
    place[order] = np.arange(len(words))
    return place[encoded.indices.to_numpy(zero_copy_only=False)], [words[at] for at in order]


def as_text(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return values as a person writes them: `12.5`, `true`, `monthly`; null stays null."""
    column = _one(column)
    text = column.cast(pa.string())
    if pa.types.is_decimal(column.type) and column.type.scale > 0:
        text = pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")
    return text


def digest(rows: pa.Table) -> str:
    """Return a sha256 over names, types and values, in the order of columns and rows.

    Equal rows give equal digests however Arrow has cut them into chunks and buffers.
    """
    total = hashlib.sha256()
    for name in rows.column_names:
        column = _one(rows.column(name))
        total.update(f"{name} {column.type}\n".encode())
        total.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        for part in _value_bytes(column):
            total.update(part)
    return total.hexdigest()


def as_date(value: object) -> date:
    """Return the calendar date of a date, a datetime or a `datetime64`."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    days: date = np.datetime64(str(value), "D").astype(object)
    return days


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    chunks = column.combine_chunks()
    return pa.concat_arrays(chunks.chunks) if isinstance(chunks, pa.ChunkedArray) else chunks


def _value_bytes(column: pa.Array) -> list[bytes]:
    kind = column.type
    if pa.types.is_null(kind):
        return []
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text_bytes(column.fill_null(""))
    if pa.types.is_decimal(kind):
        # Digits as integers: what lies under a null is not part of the value.
        text = column.cast(pa.string()).fill_null("")
        return _value_bytes(text)
    if pa.types.is_boolean(kind):
        return [np.packbits(column.fill_null(False).to_numpy(zero_copy_only=False)).tobytes()]
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        micros = column.cast(pa.timestamp("us")).cast(pa.int64())
        return [micros.fill_null(0).to_numpy(zero_copy_only=False).tobytes()]
    return [column.fill_null(0).to_numpy(zero_copy_only=False).tobytes()]


def _text_bytes(column: pa.Array) -> list[bytes]:
    """Return the lengths of texts, then the texts on end; none of them null."""
    if not len(column):
        return []
    wide = column.cast(pa.large_string())
    _, places, text = wide.buffers()
    bounds = np.frombuffer(places, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    lengths = np.diff(bounds).tobytes()
    return [lengths, b"" if text is None else text[bounds[0] : bounds[-1]].to_pybytes()]
