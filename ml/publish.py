"""Publishing: the marts as one DuckDB file of copies, for readers.

The file is replaced as a whole. Who has the old one open goes on reading it; who opens it next
reads the new one; nobody waits for the warehouse, nor it for them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.errors import HoldfastError
from ml.half_files import half_path, remove, remove_leftovers
from ml.progress import Progress
from ml.settings import Settings
from ml.warehouse import DuckDBWarehouse, Relation, Warehouse, known_error, open_warehouse

# Inside marts.duckdb the catalog itself is called marts. A schema of that name too would make
# `marts.retention_worklist` ambiguous, so the copies lie in the default schema, and it means them.
PUBLISHED_SCHEMA = "main"
SOURCE_SCHEMA = "marts"

_COLUMNS = """
    select
        columns.table_name as relation,
        columns.column_name,
        columns.data_type,
        columns.comment as column_comment,
        coalesce(tables.comment, views.comment) as relation_comment
    from duckdb_columns() as columns
    left join duckdb_tables() as tables
        on columns.database_name = tables.database_name
        and columns.schema_name = tables.schema_name
        and columns.table_name = tables.table_name
    left join duckdb_views() as views
        on columns.database_name = views.database_name
        and columns.schema_name = views.schema_name
        and columns.table_name = views.view_name
    where columns.database_name = current_database() and columns.schema_name = $1
        and not columns.internal
    order by columns.table_name, columns.column_index
"""


@dataclass(frozen=True)
class PublishResult:
    """What was published.

    Attributes
    ----------
    path
        The file.
    rows
        Relation to number of rows.
    is_new
        False where the file held exactly this already and was left alone.
    """

    path: Path
    rows: dict[str, int]
    is_new: bool


@dataclass(frozen=True)
class _Column:
    name: str
    data_type: str
    comment: str | None


@dataclass(frozen=True)
class _Relation:
    """What one relation holds; equal contents are equal values, whatever the order of rows."""

    columns: tuple[_Column, ...]
    comment: str | None
    row_count: int
    fingerprint: int


def publish(settings: Settings, *, progress: Progress | None = None) -> PublishResult:
    """Copy the marts into ``marts.duckdb``, replacing it as a whole, unless it holds them already.

    Raises
    ------
    HoldfastError
        Where there are no marts to publish, or the file cannot be written; then the old one stays.
    """
    path = settings.marts_path
    with open_warehouse(settings, read_only=True) as warehouse:
        if not warehouse.relations([SOURCE_SCHEMA]):
            raise HoldfastError(
                f"There are no marts in {warehouse.address} to publish. Build them first: "
                "`holdfast run` (or `dbt build`)."
            )
        if not isinstance(warehouse, DuckDBWarehouse):
            return _publish_from_server(warehouse, path, progress)
        wanted = _contents(warehouse, SOURCE_SCHEMA)
    result = _result(path, wanted)
    if result.is_new:
        with _new_file(path) as new_path:
            _copy(settings.warehouse_path, wanted, new_path, progress)
            _replace(new_path, path)
    return result


def _publish_from_server(
    warehouse: Warehouse, path: Path, progress: Progress | None
) -> PublishResult:
    """Copy the marts of a server first: only a copy can be held against the published file."""
    relations = warehouse.relations([SOURCE_SCHEMA])
    path.parent.mkdir(parents=True, exist_ok=True)
    with _new_file(path) as new_path:
        with duckdb.connect(str(new_path)) as connection:
            for done, relation in enumerate(relations):
                if progress is not None:
                    progress(relation.name, done, len(relations))
                _copy_relation(warehouse, relation, connection)
            connection.execute("checkpoint")
        with DuckDBWarehouse.open(new_path, read_only=True) as copies:
            result = _result(path, _contents(copies, PUBLISHED_SCHEMA))
        if result.is_new:
            _replace(new_path, path)
    return result


def _copy_relation(
    warehouse: Warehouse, relation: Relation, connection: duckdb.DuckDBPyConnection
) -> None:
    schema = warehouse.query(f"select * from {relation} where 1 = 0").schema
    batches = warehouse.stream(f"select * from {relation}")
    connection.register("copied", pa.RecordBatchReader.from_batches(schema, batches))
    connection.execute(f"create table {_quoted(relation.name)} as select * from copied")
    connection.unregister("copied")


def _result(path: Path, wanted: dict[str, _Relation]) -> PublishResult:
    return PublishResult(
        path=path,
        rows={name: relation.row_count for name, relation in wanted.items()},
        is_new=_published(path) != wanted,
    )


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Give the name of a file beside the published one; what is left of it at the end goes."""
    remove_leftovers(path)
    new_path = half_path(path)
    try:
        yield new_path
    except (duckdb.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise known_error(path, reason) or HoldfastError(
            f"Cannot publish {path}: {reason}. The file of the last run is still there."
        ) from error
    finally:
        remove(new_path)
        remove(new_path.with_name(f"{new_path.name}.wal"))


def _contents(warehouse: Warehouse, schema: str) -> dict[str, _Relation]:
    columns: dict[str, list[_Column]] = {}
    comments: dict[str, str | None] = {}
    for row in warehouse.query(_COLUMNS, [schema]).to_pylist():
        columns.setdefault(row["relation"], []).append(
            _Column(row["column_name"], row["data_type"], row["column_comment"])
        )
        comments[row["relation"]] = row["relation_comment"]
    contents = {}
    for name, its_columns in columns.items():
        row = warehouse.query(
            "select count(*) as row_count, coalesce(sum(hash(mart)), 0)::varchar as fingerprint "
            f"from {_quoted(schema)}.{_quoted(name)} as mart"
        ).to_pylist()[0]
        contents[name] = _Relation(
            columns=tuple(its_columns),
            comment=comments[name],
            row_count=row["row_count"],
            fingerprint=int(row["fingerprint"]),
        )
    return contents


def _published(path: Path) -> dict[str, _Relation] | None:
    """Return what the published file holds; None where there is none that can be read."""
    try:
        with DuckDBWarehouse.open(path, read_only=True) as published:
            return _contents(published, PUBLISHED_SCHEMA)
    except HoldfastError:
        return None


def _copy(
    source: Path, relations: dict[str, _Relation], new_path: Path, progress: Progress | None
) -> None:
    with duckdb.connect(str(new_path)) as connection:
        connection.execute("attach $1 as warehouse (read_only)", [str(source)])
        for done, (name, relation) in enumerate(relations.items()):
            if progress is not None:
                progress(name, done, len(relations))
            table = _quoted(name)
            connection.execute(
                f"create table {table} as select * from warehouse.{SOURCE_SCHEMA}.{table}"
            )
            if relation.comment:
                connection.execute(f"comment on table {table} is {_text(relation.comment)}")
            for column in relation.columns:
                if column.comment:
                    connection.execute(
                        f"comment on column {table}.{_quoted(column.name)} "
                        f"is {_text(column.comment)}"
                    )
        connection.execute("detach warehouse")
        connection.execute("checkpoint")


def _replace(new_path: Path, path: Path) -> None:
    """Put the finished file in the place of the old one; a power cut leaves one or the other."""
    _sync(new_path)
    # Left by a reader who opened the old file for writing; beside the new one it would make that
    # unreadable.
    remove(path.with_name(f"{path.name}.wal"))
    os.replace(new_path, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    # `comment on` takes no parameters.
    return "'" + value.replace("'", "''") + "'"
