"""Loading: raw files into tables of a server, which cannot read files of ours.

DuckDB reads the files, so a column has the type, and a broken file the error, that it has where
DuckDB is the warehouse. Each entity is one table of the schema `raw`, replaced as a whole in one
transaction. The table's comment holds the files' pattern and a hash of their bytes: files that
have not changed are not loaded again, and an entity whose files are gone loses its table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.errors import HoldfastError
from ml.profile import DUCKDB, POSTGRES, engine_of
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import open_warehouse

RAW = "raw"
ENTITIES = (
    "customers",
    "subscriptions",
    "activity",
    "tickets",
    "invoices",
    "orders",
    "touches",
)

# More than one of them is an error.
_PATTERNS = ("{}.parquet", "{}.csv", "{}.csv.gz", "{}/*.parquet", "{}/*.csv", "{}/*.csv.gz")
_BATCH_ROWS = 100_000
_HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class LoadedEntity:
    """What became of the files of one entity.

    Attributes
    ----------
    rows
        Rows that were copied; 0 where nothing was.
    is_new
        False where the server had these very files already.
    """

    entity: str
    rows: int
    is_new: bool


@dataclass(frozen=True)
class LoadResult:
    """What became of all files.

    Attributes
    ----------
    entities
        Entities that have files.
    removed
        Entities whose table went, because their files are gone.
    """

    entities: tuple[LoadedEntity, ...]
    removed: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows copied."""
        return sum(each.rows for each in self.entities)

    @property
    def is_new(self) -> bool:
        """Whether anything changed."""
        return bool(self.removed) or any(each.is_new for each in self.entities)


def needs_load(settings: Settings) -> bool:
    """Return whether the target's engine cannot read raw files itself."""
    return engine_of(settings) == POSTGRES


def load(settings: Settings, *, progress: Progress | None = None) -> LoadResult:
    """Copy the raw files that the server does not have yet into its tables.

    Raises
    ------
    HoldfastError
        Where the target reads files itself, an entity has files in two places, a file cannot be
        read whole, or the server cannot be reached. Each table is then as it was or as it should
        be.
    """
    say = progress or silent
    if not needs_load(settings):
        raise HoldfastError(
            f"The target {settings.target} reads raw files itself ({DUCKDB}); nothing has to be "
            "loaded. Name a server's target with --target."
        )
    from ml.warehouse.postgres import PostgresWarehouse

    found = {entity: _pattern(settings.raw_dir, entity) for entity in ENTITIES}
    loaded: list[LoadedEntity] = []
    removed: list[str] = []
    with open_warehouse(settings) as warehouse:
        assert isinstance(warehouse, PostgresWarehouse)
        for done, (entity, pattern) in enumerate(found.items()):
            say(entity, done, len(found))
            table = f"{RAW}.{entity}"
            if pattern is None:
                if warehouse.comment(table) is not None:
                    warehouse.execute(f"drop table {table} cascade")
                    removed.append(entity)
                continue
            comment = json.dumps({"pattern": pattern, "sha256": _digest(pattern)})
            if warehouse.comment(table) == comment:
                loaded.append(LoadedEntity(entity, rows=0, is_new=False))
                continue
            with _opened(pattern) as (columns, batches):
                rows = warehouse.replace_table(table, columns, batches, comment=comment)
            loaded.append(LoadedEntity(entity, rows=rows, is_new=True))
    return LoadResult(entities=tuple(loaded), removed=tuple(removed))


def _pattern(folder: Path, entity: str) -> str | None:
    patterns = [each.format(entity) for each in _PATTERNS]
    found = sorted(str(folder / each) for each in patterns if any(folder.glob(each)))
    if len(found) > 1:
        raise HoldfastError(
            f"Expected one place with the raw rows of '{entity}', found {' and '.join(found)}. "
            "Remove all but one."
        )
    return found[0] if found else None


def _digest(pattern: str) -> str:
    """Return a hash of the names and bytes of the files, about a second a gigabyte."""
    digest = hashlib.sha256()
    for path in sorted(_matches(pattern)):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while piece := file.read(_HASHED_BYTES):
                digest.update(piece)
    return digest.hexdigest()


def _matches(pattern: str) -> Sequence[Path]:
    path = Path(pattern)
    return list(path.parent.glob(path.name))


@contextmanager
def _opened(pattern: str) -> Iterator[tuple[dict[str, str], Iterator[pa.RecordBatch]]]:
    """Give the columns of the files, name to PostgreSQL's type, and their rows.

    They are read as the models of a DuckDB warehouse read them (`duckdb__raw_files`).
    """
    text = pattern.replace("'", "''")
    if ".parquet" in Path(pattern).name:
        source = f"read_parquet('{text}', union_by_name = true)"
    else:
        source = f"read_csv('{text}', union_by_name = true, all_varchar = true, header = true)"
    try:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            columns: dict[str, str] = {}
            selected: list[str] = []
            for name, found, *_ in connection.execute(f"describe from {source}").fetchall():
                quoted = '"' + name.replace('"', '""') + '"'
                columns[name] = _postgres_type(found)
                # What the server has no type for goes as text; of nanoseconds it would round.
                sent = {"text": "varchar", "timestamp without time zone": "timestamp"}.get(
                    columns[name]
                )
                selected.append(f"cast({quoted} as {sent}) as {quoted}" if sent else quoted)
            rows = connection.sql(f"select {', '.join(selected)} from {source}")
            yield columns, iter(rows.to_arrow_reader(_BATCH_ROWS))
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise HoldfastError(f"The raw files '{pattern}' cannot be read: {message}") from error


def _postgres_type(found: str) -> str:
    if found.startswith("DECIMAL"):
        return found.lower().replace("decimal", "numeric")
    return _TYPES.get(found, "text")


# DuckDB's types to PostgreSQL's, each wide enough for every value.
_TYPES = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "numeric(38,0)",
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric(20,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP_S": "timestamp without time zone",
    "TIMESTAMP_MS": "timestamp without time zone",
    "TIMESTAMP_NS": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}
