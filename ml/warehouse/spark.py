"""A Spark warehouse, through the session that dbt uses in this process, or a cluster's own.

Spark has no transactions. An append is one job that adds its files at its end; a slice is replaced
by overwriting its partition, or where the table has no partition for it by writing the table anew
beside and renaming it, so that what a crash can leave is the old slice or the new one.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.errors import HoldfastError
from ml.warehouse.base import (
    Params,
    Relation,
    Warehouse,
    by_place,
    check_columns,
    known_column,
    split_name,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Set once when a session starts; another value needs another session.
_CATALOGUE = "spark.hadoop.javax.jdo.option.ConnectionURL"
# A text or a quoted name.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")*)\"")
_UTC = "UTC"


class SparkWarehouse(Warehouse):
    """Tables of a Spark session."""

    def __init__(self, credentials: Any) -> None:
        super().__init__("the Spark warehouse")
        self._credentials = credentials

    @classmethod
    def open(cls, credentials: Any, *, read_only: bool = False) -> SparkWarehouse:
        """Take the session of dbt's credentials.

        Raises
        ------
        HoldfastError
            Where Spark is not there, another process holds its catalogue, or nothing was built.
        """
        warehouse = cls(credentials)
        # At once, also for writing: what dbt runs next in this process takes up what it finds.
        session = warehouse.session
        with _readable_errors(warehouse.address):
            if read_only and not session.catalog.databaseExists("gold"):
                raise HoldfastError(
                    "Spark has no schema gold. Build it first: `holdfast run` (or `dbt build`)."
                )
        return warehouse

    @property
    def session(self) -> SparkSession:
        """The session, started anew where another project has taken its place since."""
        return session_of(self._credentials)

    def close(self) -> None:
        """Leave the session running: dbt takes it up again, and a start takes half a minute."""

    def frame(self, sql: str, params: Params = ()) -> DataFrame:
        """Return one query as a Spark frame, of which nothing was computed yet."""
        statement, values = by_place(sql, params)
        with _readable_errors(self.address):
            return self.session.sql(_in_backticks(statement), args=values or None)

    def query(self, sql: str, params: Params = ()) -> pa.Table:
        """Return the whole result of one query."""
        frame = self.frame(sql, params)
        with _readable_errors(self.address):
            return _without_zone(frame.toArrow())

    def stream(
        self, sql: str, params: Params = (), batch_rows: int = 100_000
    ) -> Iterator[pa.RecordBatch]:
        """Yield the result of one query in batches of at most `batch_rows` rows.

        One partition at a time comes to this machine.
        """
        frame = self.frame(sql, params)
        with _readable_errors(self.address):
            for batch in batches_of(frame):
                for start in range(0, batch.num_rows, batch_rows):
                    yield batch.slice(start, batch_rows)

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement whose result nobody needs."""
        self.frame(sql, params)

    def relations(self, schemas: Sequence[str] | None = None) -> list[Relation]:
        """Return the tables and views of these schemas, or of all."""
        found: list[Relation] = []
        with _readable_errors(self.address):
            there = [row[0] for row in self.session.sql("show databases").collect()]
            for schema in there if schemas is None else [one for one in schemas if one in there]:
                views = {
                    row["viewName"]
                    for row in self.session.sql(f"show views in {schema}").collect()
                    if not row["isTemporary"]
                }
                tables = [
                    row["tableName"]
                    for row in self.session.sql(f"show tables in {schema}").collect()
                    if not row["isTemporary"]
                ]
                found += [Relation(schema, name, name in views) for name in tables]
        return sorted(found, key=lambda relation: (relation.schema, relation.name))

    def contents(self, relation: str, *, by: str, without: Sequence[str] = ()) -> dict[object, str]:
        """Return, for each value of an expression, a text that any change of its rows changes."""
        kept = [f"`{name}`" for name in self.columns(relation) if name not in without]
        # A null leaves the hash as it was: a flag tells in which column it stands.
        hashed = ", ".join(f"{name}, {name} is null" for name in kept)
        found = self.query(
            f"select {by} as part, count(*) || ' ' || coalesce(sum(cast(xxhash64({hashed}) "
            f"as decimal(20, 0))), 0) as content from {relation} group by 1"
        )
        return dict(zip(found["part"].to_pylist(), found["content"].to_pylist(), strict=True))

    def is_one_of(self, column: str, mark: str) -> str:
        """Return the condition that a column is among the values of a parameter that is a list."""
        return f"array_contains({mark}, {column})"

    def likeness(self, column: str, mark: str) -> str:
        """Return a number that is higher the more a text is like that of a parameter."""
        return f"-levenshtein({column}, {mark})"

    def partitions(self, relation: str) -> list[str]:
        """Return the columns that a table is partitioned by."""
        with _readable_errors(self.address):
            rows = self.session.sql(f"describe table {relation}").collect()
        names = [row["col_name"] for row in rows]
        if "# Partition Information" not in names:
            return []
        return names[names.index("# Partition Information") + 2 :]

    def write(
        self, relation: str, frame: DataFrame, *, where: Mapping[str, object] | None = None
    ) -> None:
        """Append a frame's rows by name; with `where`, in the place of the rows that match it."""
        from pyspark.sql import functions

        columns = self.columns(relation)
        check_columns(frame.columns, columns, relation)
        for column in where or ():
            known_column(column, columns, relation)
        with _readable_errors(self.address):
            table = self.session.table(relation)
            rows = frame.select(
                *(functions.col(one.name).cast(one.dataType) for one in table.schema.fields)
            )
            if not where:
                rows.write.insertInto(relation)
            elif set(self.partitions(relation)) == set(where):
                self._overwrite_partition(relation, rows, where)
            else:
                is_slice = functions.lit(True)
                for column, value in where.items():
                    is_slice = is_slice & functions.col(column).eqNullSafe(functions.lit(value))
                self._write_anew(relation, table.where(~is_slice).unionByName(rows))

    def _overwrite_partition(
        self, relation: str, rows: DataFrame, where: Mapping[str, object]
    ) -> None:
        if rows.isEmpty():
            named = ", ".join(f"`{column}` = {_literal(value)}" for column, value in where.items())
            self.session.sql(f"alter table {relation} drop if exists partition ({named})")
            return
        # Else Spark takes an overwrite of some partitions for one of all.
        self.session.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
        rows.write.insertInto(relation, overwrite=True)

    def _write_anew(self, relation: str, rows: DataFrame) -> None:
        schema, name = split_name(relation)
        anew, old = f"{schema}.{name}__anew", f"{schema}.{name}__old"
        for leftover in (anew, old):
            self.session.sql(f"drop table if exists {leftover}")
        partitions = self.partitions(relation)
        writer = rows.write.format("parquet")
        (writer.partitionBy(*partitions) if partitions else writer).saveAsTable(anew)
        self.session.sql(f"alter table {relation} rename to {old}")
        self.session.sql(f"alter table {anew} rename to {relation}")
        self.session.sql(f"drop table {old}")

    def _write(
        self,
        relation: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        *,
        where: Mapping[str, object],
    ) -> int:
        columns = self.columns(relation)
        table = self.session.table(relation)
        batches = [rows] if isinstance(rows, pa.Table) else list(rows)
        for batch in batches:
            check_columns(batch.schema.names, columns, relation)
        tables = [
            batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
            for batch in batches
            if batch.num_rows
        ]
        given = pa.concat_tables(tables) if tables else None
        if given is None:
            frame = table.limit(0)
        else:
            with _readable_errors(self.address):
                frame = self.session.createDataFrame(given)
        if where or given is not None:
            self.write(relation, frame, where=where)
        return 0 if given is None else given.num_rows

    def _found_columns(self, schema: str, name: str) -> dict[str, str]:
        with _readable_errors(self.address):
            if not self.session.catalog.tableExists(f"{schema}.{name}"):
                return {}
            fields = self.session.table(f"{schema}.{name}").schema.fields
        return {field.name: field.dataType.simpleString() for field in fields}

    def _transaction(self) -> AbstractContextManager[None]:
        raise NotImplementedError("Spark has no transactions; `_write` does without.")

    def _delete(self, target: str, condition: str, values: Sequence[object]) -> None:
        raise NotImplementedError(
            "Spark deletes no rows of a Parquet table; `_write` does without."
        )

    def _insert(self, target: str, batch: pa.Table | pa.RecordBatch) -> None:
        raise NotImplementedError("Rows are written by `_write`.")


def session_of(credentials: Any) -> SparkSession:
    """Return the session of dbt's credentials, started if need be.

    With the method `session` it is the one that dbt itself takes up in this process. With any
    other, dbt's statements go to a cluster by a way that carries no Arrow: then Python works in the
    session of the cluster that it runs on, or in the one that SPARK_REMOTE names.

    Raises
    ------
    HoldfastError
        Where pyspark or Java is not there, or Python is on no cluster.
    """
    # pyspark says at each start that it does not know pandas 3 yet; nothing here hands it pandas.
    warnings.filterwarnings("ignore", message="PySpark does not yet", category=FutureWarning)
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise HoldfastError(
            "A target of the type spark needs pyspark, which is not installed. Install the extra: "
            "`pip install 'holdfast[spark]'`."
        ) from error
    active = SparkSession.getActiveSession()
    if getattr(credentials, "method", None) != "session":
        if active is None and "SPARK_REMOTE" not in os.environ:
            raise HoldfastError(
                "Holdfast's own commands need a Spark session, and the target reaches its cluster "
                "by statements alone. Run them on the cluster (a job or a notebook), name it in "
                "SPARK_REMOTE, or use a target with `method: session`."
            )
        return active or SparkSession.builder.getOrCreate()
    parameters = {name: str(value) for name, value in credentials.server_side_parameters.items()}
    if active is not None and _is_elsewhere(active, parameters):
        _end(active)
    if parameters.get("spark.master", "").startswith("local"):
        # Spark would start whatever `python3` is on the PATH to apply a model.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.enableHiveSupport()
    for name, value in parameters.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, OSError) as error:
        reason = " ".join(str(error).split())
        raise HoldfastError(
            f"Spark did not start: {reason} It needs Java 17 or later, found by JAVA_HOME or on "
            "the PATH."
        ) from error


def on_batches(
    function: Callable[..., Iterator[pa.RecordBatch]], *arguments: object
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what `mapInArrow` wants: the batches of a partition in, other batches out.

    Parameters
    ----------
    function
        A function of an installed module; it gets the batches, then the arguments.
    arguments
        They travel once a partition and as bytes: not everything that can be pickled can be
        compared, and Spark compares what it is given.
    """
    payload = pickle.dumps(arguments)

    def apply(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return function(batches, *pickle.loads(payload))

    return apply


def batches_of(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """Yield a frame's rows as Arrow, one partition at a time."""

    # Inside, so that it travels to the executors by itself: they need pyarrow and no more.
    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pa.RecordBatch.from_pydict({"batch": [sink.getvalue().to_pybytes()]})

    for row in frame.mapInArrow(packed, "batch binary").toLocalIterator():
        with pa.ipc.open_stream(bytes(row["batch"])) as reader:
            for batch in reader:
                yield from _without_zone(pa.Table.from_batches([batch])).to_batches()


def _end(session: SparkSession) -> None:
    """Stop a session and its Java machine.

    The machine too: Hive's catalogue is remembered by each of its threads, and a thread that had
    served one project went on writing into that project's tables for the next.
    """
    from pyspark import SparkContext

    session.stop()
    gateway = SparkContext._gateway
    if gateway is None:
        return
    gateway.shutdown()
    # It ends when nobody can write to it any more; until then it holds the catalogue.
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=60)
    SparkContext._gateway = None
    SparkContext._jvm = None


def _is_elsewhere(session: SparkSession, parameters: Mapping[str, str]) -> bool:
    opened: str | None = session.conf.get(_CATALOGUE, None)
    return opened != parameters.get(_CATALOGUE)


def _without_zone(table: pa.Table) -> pa.Table:
    """Return the times of a session in UTC as every other engine gives them: without a zone."""
    fields = [
        field.with_type(pa.timestamp("us"))
        if pa.types.is_timestamp(field.type) and field.type.tz == _UTC
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _in_backticks(statement: str) -> str:
    """Return a statement whose quoted names are quoted as Spark does: `"` begins a text there.

    Examples
    --------
    >>> _in_backticks('select "rank" from gold.x')
    'select `rank` from gold.x'
    """
    return _QUOTED.sub(
        lambda match: match[0] if match[1] is None else f"`{match[1].replace('`', '``')}`",
        statement,
    )


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@contextlib.contextmanager
def _readable_errors(address: str) -> Iterator[None]:
    """Turn the engine's errors into sentences that say what to do."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        message = " ".join(str(error).split())
        raise known_error(message) or HoldfastError(f"{address} refused: {message}") from error


def known_error(message: str) -> HoldfastError | None:
    """Return what to do about a catalogue that another process holds, or a full disk."""
    if "already have booted the database" in message or "already booted the database" in message:
        return HoldfastError(
            "The catalogue of the Spark warehouse is open in another process, and one at a time "
            "can have it. Wait for that process or end it; a shared catalogue is one of a cluster."
        )
    if "No space left on device" in message:
        return HoldfastError(
            "The disk is full. Free some space and run again; what was there before is still "
            f"whole. Spark said: {message[:300]}"
        )
    return None
