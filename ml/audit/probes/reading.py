"""From a CSV or Parquet file, or from gold.training_set, to the table that is probed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml import matrix
from ml.audit.probes.table import Bools, Column, Floats, Kind, Table, column_of
from ml.contract import FeatureContract, listed
from ml.errors import DataError, UsageError
from ml.frozen import sets
from ml.frozen.sets import FrozenSet
from ml.sampling import EVERYBODY
from ml.settings import Settings
from ml.training_set import LabelledRows, read_history, require_features
from ml.warehouse import Warehouse

TRAINING_SET = "gold.training_set"
# More rows sharpen no bound that decides anything, and take longer; whole customers are drawn.
MOST_ROWS = 200_000

_CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_NULLS = ("", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "?", "-")
_YES = {"1", "1.0", "true", "yes", "y", "t", "churn", "churned", "lost", "left", "exited"}
_NO = {"0", "0.0", "false", "no", "n", "f"}
_DATE_FORMATS = (
    "%m/%d/%y",
    "%d/%m/%y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M",
    "%d-%b-%Y",
)
# How text may be read, in SQL on `text`; of those that read most rows the first is taken.
_READINGS: tuple[tuple[Kind, str], ...] = (
    ("number", "try_cast(text as double)"),
    ("number", "cast(try_cast(text as boolean) as double)"),
    ("number", "try_cast(replace(text, ',', '.') as double)"),
    ("date", "epoch(try_cast(text as timestamp)) / 86400"),
    *(("date", f"epoch(try_strptime(text, '{each}')) / 86400") for each in _DATE_FORMATS),
)
# A column is of numbers or dates where nearly all its rows are; the others count as null, and the
# report says so.
_READABLE = 0.95
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|BOOLEAN|DECIMAL.*")


def read_file(
    path: Path, *, target: str, id_column: str | None = None, date: str | None = None
) -> Table:
    """Read a flat file with a target.

    Parameters
    ----------
    path
        CSV (any delimiter, plain or gzipped) or Parquet.
    target
        The column with the label: two different values. Rows without one are left out, and the
        remarks say how many.
    id_column
        The customer, where one has several rows.
    date
        The day that a row stands for.

    Raises
    ------
    UsageError
        If the file or a column is not there.
    DataError
        If the file cannot be read whole, the target has other than two classes, or nothing stands
        beside it.
    """
    with duckdb.connect() as engine:
        types = _load(engine, path)
        for option, name in (("--target", target), ("--id", id_column), ("--date", date)):
            if name is not None and name not in types:
                raise UsageError(
                    f"{option} names the column '{name}', which {path.name} has not. It has: "
                    f"{listed(types, most=60)}."
                )
        labels, kept = _target(_texts(engine, target), target)
        remarks = [] if kept.all() else [f"{(~kept).sum():,} rows have no {target}: left out"]
        columns = {}
        for name, type_ in types.items():
            if name in (target, id_column):
                continue
            read = _column(engine, name, type_, remarks)
            if read is not None:
                columns[name] = read.at(kept)
        customers = None if id_column is None else _texts(engine, id_column)
    day = None
    if date is not None:
        dates = columns.pop(date, None)
        if dates is None or dates.kind != "date":
            raise DataError(
                f"Expected dates in the column '{date}' that --date names, found something else. "
                "Dates are such as 2024-03-31, 3/31/24 or 31.03.2024, all of one kind."
            )
        day = dates.values
    if not columns:
        raise DataError(f"Expected columns beside the target in {path.name}, found none.")
    return Table(
        name=path.name,
        target_name=target,
        columns=list(columns.values()),
        target=labels[kept],
        group=_groups(customers, kept),
        has_customers=customers is not None,
        day=day,
        remarks=remarks,
    )


def read_training_set(
    warehouse: Warehouse,
    contract: FeatureContract,
    rng: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
) -> Table:
    """Read gold.training_set with the features of the contract; whole customers where it is large.

    Raises
    ------
    DataError
        If it has no row, or other rows a moment later.
    ContractError
        If a feature is missing or of another type.
    """
    require_features(warehouse, TRAINING_SET, contract.types)
    history = read_history(warehouse, contract, EVERYBODY)
    data = history.rows
    if data.customer.size == 0:
        raise DataError(
            f"Expected rows in {TRAINING_SET}, found none. Labels appear once horizon and grace "
            "have passed: bring more data and run `dbt build`."
        )
    chosen = _draw_customers(data, most_rows, rng)
    kept = chosen[data.customer]
    # The names come from the contract and were found among the relation's own columns.
    names = ", ".join(f'"{name}"' for name in contract.types)
    batches: Iterator[pa.RecordBatch] = warehouse.stream(
        f"select {names} from {TRAINING_SET} where {warehouse.is_one_of('customer_id', '$1')} "
        f"order by as_of_date, {warehouse.in_code_order('customer_id')}",
        [[data.customers[at] for at in np.flatnonzero(chosen).tolist()]],
    )
    try:
        frame = matrix.gather_frame(batches, contract.types, int(kept.sum()))
    except ValueError as error:
        raise DataError(
            f"Expected the same rows of {TRAINING_SET} as a moment ago, but {error}: something "
            "rebuilt gold meanwhile. Run again when it is done."
        ) from error
    return _training_table(data, kept, frame, contract, history.training_set_id)


def read_frozen_set(
    settings: Settings,
    frozen: FrozenSet,
    rng: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
) -> Table:
    """Read a frozen training set, verified first; whole customers where it is large.

    Raises
    ------
    DataError
        If its file is gone or was changed.
    """
    data = sets.read_history(settings, frozen).rows
    kept = _draw_customers(data, most_rows, rng)[data.customer]
    frame = sets.read_frame(settings, frozen, kept)
    return _training_table(data, kept, frame, frozen.contract, frozen.training_set_id)


def _draw_customers(data: LabelledRows, most_rows: int, rng: np.random.Generator) -> Bools:
    """Return which customers are probed: all, or as many as have about `most_rows` rows."""
    rows, customers = data.customer.size, len(data.customers)
    if rows <= most_rows:
        return np.ones(customers, dtype=bool)
    return np.asarray(rng.permutation(customers) < max(1, customers * most_rows // rows))


def _training_table(
    data: LabelledRows,
    kept: Bools,
    frame: pd.DataFrame,
    contract: FeatureContract,
    training_set_id: str,
) -> Table:
    """Return the table of some labelled rows and their features, both in the same order."""
    group = np.unique(data.customer[kept], return_inverse=True)[1]
    remarks = []
    if not kept.all():
        remarks.append(
            f"{kept.sum():,} of {kept.size:,} rows were probed, those of {group.max() + 1:,} "
            "customers drawn by chance"
        )
    return Table(
        name=TRAINING_SET,
        target_name="is_churn",
        columns=[
            column_of(
                feature.name,
                frame[feature.name].to_numpy(),
                "category" if feature.kind == "category" else "number",
                feature,
            )
            for feature in contract.features
        ],
        target=data.is_churn[kept] > 0,
        group=group,
        has_customers=True,
        day=data.as_of_date[kept].astype("datetime64[D]").astype(np.float64),
        remarks=remarks,
        training_set_id=training_set_id,
    )


def _load(engine: duckdb.DuckDBPyConnection, path: Path) -> Mapping[str, str]:
    """Load the file into the table `rows`, in its own order; return its columns' types."""
    name = path.name.lower()
    if not path.is_file():
        raise UsageError(f"--file names {path}, which is no file.")
    if not name.endswith((".parquet", *_CSV_SUFFIXES)):
        raise UsageError(
            f"--file takes CSV ({', '.join(_CSV_SUFFIXES)}) or Parquet, not {path.name}."
        )
    # A CSV's values come as text: what a column holds is decided over its whole length.
    source = "read_csv($1, all_varchar = true, header = true)"
    if name.endswith(".parquet"):
        source = "read_parquet($1)"
    try:
        engine.execute(
            f"create table rows as select * from {source}",
            [str(path)],
        )
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"Expected {path.name} to be readable to its end, but: {reason[:400]} Mend the file; "
            "nothing was probed."
        ) from error
    described = engine.sql("describe rows").fetchall()
    if engine.sql("select count(*) from rows").fetchall()[0][0] == 0:
        raise DataError(f"Expected rows in {path.name}, found none.")
    return {str(row[0]): str(row[1]) for row in described}


def _column(
    engine: duckdb.DuckDBPyConnection, name: str, type_: str, remarks: list[str]
) -> Column | None:
    """Return a column as numbers, dates or words, with remarks on what could not be read."""
    quoted = _quoted(name)
    if _NUMBERS.fullmatch(type_):
        return column_of(name, _floats(engine, f"cast({quoted} as double)"), "number")
    if type_ == "DATE" or type_.startswith("TIMESTAMP"):
        days = f"epoch(cast({quoted} as timestamp)) / 86400"
        return column_of(name, _floats(engine, days), "date")
    if type_ != "VARCHAR" and not type_.startswith("ENUM"):
        remarks.append(f"{name} is of the type {type_}: not probed")
        return None
    text = _text(name)
    counts = ", ".join(f"count({reading.replace('text', text)})" for _, reading in _READINGS)
    filled, *readable = engine.sql(f"select count({text}), {counts} from rows").fetchall()[0]
    most = max(readable)
    if most < max(_READABLE * filled, 1):
        return column_of(name, _texts(engine, name), "category")
    if most < filled:
        remarks.append(f"{name}: {filled - most:,} values are not like the others: taken as null")
    kind, reading = _READINGS[readable.index(most)]
    return column_of(name, _floats(engine, reading.replace("text", text)), kind)


def _target(texts: NDArray[np.object_], name: str) -> tuple[Bools, Bools]:
    """Return which rows have the label, and which are known to have it or not."""
    words = np.array([None if text is None else text.lower() for text in texts], dtype=object)
    kept = np.array([word is not None for word in words], dtype=bool)
    different, counts = np.unique(words[kept].astype(str), return_counts=True)
    if different.size != 2:
        raise DataError(
            f"Expected two classes in the target '{name}', found {different.size}: "
            f"{listed(different.tolist(), most=8)}. Name a column with two values."
        )
    yes = [word for word in different if word in _YES]
    no = [word for word in different if word in _NO]
    positive = str(different[np.argmin(counts)])
    if len(yes) == 1:
        positive = str(yes[0])
    elif len(no) == 1:
        positive = str(next(word for word in different if word != no[0]))
    return words == positive, kept


def _groups(customers: NDArray[np.object_] | None, kept: Bools) -> NDArray[np.int64]:
    """Return codes of the rows' customers; a row without one is a customer of its own."""
    if customers is None:
        return np.arange(kept.sum())
    own = [each if each is not None else ("", row) for row, each in enumerate(customers)]
    _, groups = np.unique([str(each) for each in own], return_inverse=True)
    return np.unique(groups[kept], return_inverse=True)[1]


def _text(name: str) -> str:
    trimmed = f"trim(cast({_quoted(name)} as varchar))"
    nulls = ", ".join(f"'{word}'" for word in _NULLS)
    return f"case when lower({trimmed}) not in ({nulls}) then {trimmed} end"


def _texts(engine: duckdb.DuckDBPyConnection, name: str) -> NDArray[np.object_]:
    rows = engine.sql(f"select {_text(name)} as words from rows").to_arrow_table()
    return matrix.to_objects(rows.column(0))


def _floats(engine: duckdb.DuckDBPyConnection, expression: str) -> Floats:
    rows = engine.sql(f"select {expression} as figures from rows").to_arrow_table()
    figures = matrix.to_floats(rows.column(0))
    return np.where(np.isfinite(figures), figures, np.nan)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
