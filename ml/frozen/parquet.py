"""Parquet whose bytes depend on the rows alone: fixed order, row groups, compression and encoding.

No time, path or user enters the file. The name and version of the library do, in the file's own
footer: equal rows give equal bytes with the same version of pyarrow.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml import matrix

WRITER = f"pyarrow {pa.__version__}"

# About 30 MB of Arrow with 130 columns; a reader holds one row group at a time.
_ROW_GROUP_ROWS = 20_000
_HASHED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    rows
        How many rows.
    sha256
        Of the file's bytes.
    content_sha256
        Of names, types and values; the same whatever wrote the file.
    """

    rows: int
    sha256: str
    content_sha256: str


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Written:
    """Write batches of rows, in their order; equal rows give equal bytes however they come.

    Parameters
    ----------
    schema
        Names and types of the columns; as `plain_schema` gives it.
    """
    rows = 0
    content = hashlib.sha256()
    with (
        ThreadPoolExecutor(1) as beside,
        pq.ParquetWriter(
            path,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
            data_page_version="1.0",
            store_schema=False,
        ) as writer,
    ):
        for group in _row_groups(schema, batches):
            digest = beside.submit(matrix.digest, group)
            writer.write_table(group, row_group_size=_ROW_GROUP_ROWS)
            content.update(digest.result().encode())
            rows += group.num_rows
    return Written(rows, sha256_of_file(path), content.hexdigest())


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema without metadata, every text as `string`, every column nullable."""
    return pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_AT_ONCE):
            total.update(piece)
    return total.hexdigest()


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut the rows anew, so that neither row groups nor pages tell how they came."""
    waiting = schema.empty_table()
    for batch in batches:
        arrived = pa.Table.from_batches([batch]).cast(schema)
        waiting = pa.concat_tables([waiting, arrived])
        while waiting.num_rows >= _ROW_GROUP_ROWS:
            yield waiting.slice(0, _ROW_GROUP_ROWS).combine_chunks()
            waiting = waiting.slice(_ROW_GROUP_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()
