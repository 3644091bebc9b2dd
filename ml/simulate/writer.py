"""Writing the demo company: into a folder of its own first, then moved in place."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import HoldfastError, UsageError


class TableWriter:
    """Writes tables of fixed schemas to Parquet files in one folder, row group by row group.

    Parameters
    ----------
    folder : Path
        Where the files go; made if absent.
    schemas : mapping of str to pyarrow.Schema
        By name of the table; every table gets a file, even when no row comes.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = dict.fromkeys(schemas, 0)
        self._writers = {
            name: pq.ParquetWriter(
                folder / f"{name}.parquet",
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=_repetitive(schema),
                store_decimal_as_integer=True,
                write_statistics=True,
            )
            for name, schema in schemas.items()
        }

    def write(self, name: str, table: pa.Table) -> None:
        """Append the rows of a table as one row group."""
        if table.num_rows:
            self._writers[name].write_table(table, row_group_size=table.num_rows)
            self.rows[name] += table.num_rows

    def close(self) -> None:
        """Finish every file."""
        for writer in self._writers.values():
            writer.close()


def _repetitive(schema: pa.Schema) -> list[str]:
    """Return the columns whose values repeat, so that a dictionary pays: all but keys and times."""
    plain = {schema.names[0], "known_at"}
    return [
        field.name
        for field in schema
        if field.name not in plain and not pa.types.is_timestamp(field.type)
    ]


@contextmanager
def replacing(folders: Mapping[Path, Iterable[str]]) -> Iterator[dict[Path, Path]]:
    """Yield a temporary sibling for each folder, and put them in place when all went well.

    Parameters
    ----------
    folders : mapping of Path to iterable of str
        Folders that share a parent, and the file names that they may hold. A folder that holds
        anything else is not ours to replace.

    Raises
    ------
    UsageError
        When a folder holds other files, or is a file.
    HoldfastError
        When the disk refuses.
    """
    for folder, names in folders.items():
        _check_ours(folder, set(names))
    parts = {folder: folder.with_name(f".{folder.name}.partial") for folder in folders}
    try:
        for part in parts.values():
            if part.exists():
                shutil.rmtree(part)
            part.mkdir(parents=True)
        yield parts
        _swap(parts)
    except (OSError, pa.ArrowException) as error:
        place = next(iter(folders)).parent
        raise HoldfastError(
            f"Expected to write the demo company to {place}, but the disk refused: {error}. "
            "Nothing was changed. Free some space or choose a folder you may write to with --out."
        ) from error
    finally:
        for part in parts.values():
            shutil.rmtree(part, ignore_errors=True)


def _check_ours(folder: Path, names: set[str]) -> None:
    """Raise unless the folder is absent or holds nothing but what would be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"Expected a folder at {folder}, found a file. Choose another with --out.")
    others = sorted({entry.name for entry in folder.iterdir()} - names)
    if others:
        raise UsageError(
            f"Expected {folder} to be empty or to hold an earlier demo company, found "
            f"{others[0]!r} there. Move it away or choose another folder with --out."
        )


def _swap(parts: Mapping[Path, Path]) -> None:
    """Move every new folder to its place; on failure, put the old ones back."""
    done: list[tuple[Path, Path]] = []
    try:
        for folder, part in parts.items():
            old = folder.with_name(f".{folder.name}.replaced")
            if old.exists():
                shutil.rmtree(old)
            if folder.exists():
                folder.rename(old)
            done.append((folder, old))
            part.rename(folder)
    except OSError:
        for folder, old in done:
            if old.exists():
                shutil.rmtree(folder, ignore_errors=True)
                old.rename(folder)
        raise
    for _, old in done:
        shutil.rmtree(old, ignore_errors=True)
