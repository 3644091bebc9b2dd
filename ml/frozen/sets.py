"""A frozen training set: what is known of it, where it lies, and that it is still what it was."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml import matrix
from ml.contract import Feature, FeatureContract
from ml.errors import DataError, UsageError
from ml.frozen.parquet import sha256_of_file
from ml.sampling import EVERYBODY, CustomerSample
from ml.settings import Settings
from ml.splits import DateLabels
from ml.training_set import KEY_COLUMNS, History, LabelledRows
from ml.warehouse import Warehouse

FOLDER = "training_sets"

TRAINING_SETS_SCHEMA = pa.schema(
    {
        "training_set_id": pa.string(),
        "created_at": pa.timestamp("us"),
        "cutoff": pa.timestamp("us"),
        "from_date": pa.date32(),
        "to_date": pa.date32(),
        "row_count": pa.int64(),
        "sha256": pa.string(),
        "gold_fingerprint": pa.string(),
        "features_hash": pa.string(),
        "path": pa.string(),
    }
)

_ID = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class FrozenDate:
    """One as-of date of a frozen set.

    Attributes
    ----------
    observations
        Customers observed at the date.
    labelled
        Of them, those whose label was known at the cutoff.
    label_known_at
        When the last label of the date is known, even where that is after the cutoff.
    gold_fingerprint
        Of `gold.customer_360` at the date.
    """

    as_of_date: date
    observations: int
    labelled: int
    label_known_at: datetime | None
    gold_fingerprint: str


@dataclass(frozen=True)
class Arrivals:
    """All rows of one input that were known before a cutoff: how many, and their fingerprint."""

    entity: str
    row_count: int
    fingerprint: str


@dataclass(frozen=True)
class FrozenSet:
    """What is known of a frozen training set; it lies beside the rows as JSON.

    Attributes
    ----------
    training_set_id
        A sha256 over the keys and labels of its rows, the gold fingerprints of its dates, its
        features' names and types and the cutoff.
    cutoff
        No label known after this moment is in it, and every one known by it is.
    sha256
        Of the Parquet file's bytes.
    content_sha256
        Of names, types and values, whatever wrote the file.
    gold_fingerprint
        Of `gold.customer_360` over all its dates.
    arrivals
        What of each input was known before the cutoff: all that its rows can depend on.
    writer
        The library that wrote the file, with its version.
    path
        The Parquet file, inside the local folder.
    sample
        Whose rows are in it.
    """

    training_set_id: str
    created_at: datetime
    cutoff: datetime
    row_count: int
    churned: int
    sha256: str
    content_sha256: str
    gold_fingerprint: str
    features_hash: str
    columns: Mapping[str, str]
    features: tuple[Feature, ...]
    dates: tuple[FrozenDate, ...]
    arrivals: tuple[Arrivals, ...]
    writer: str
    path: str
    sample: CustomerSample = EVERYBODY

    @property
    def from_date(self) -> date:
        """The first as-of date."""
        return self.dates[0].as_of_date

    @property
    def to_date(self) -> date:
        """The last as-of date."""
        return self.dates[-1].as_of_date

    @property
    def label_rate(self) -> float:
        """The share of rows that churned."""
        return self.churned / self.row_count

    @property
    def contract(self) -> FeatureContract:
        """The features as they were declared then."""
        return FeatureContract(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as JSON can hold it."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=_iso))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FrozenSet":
        """Return the set that `to_dict` wrote."""
        return cls(
            **{
                **values,
                "created_at": datetime.fromisoformat(values["created_at"]),
                "cutoff": datetime.fromisoformat(values["cutoff"]),
                "features": tuple(Feature(**each) for each in values["features"]),
                "dates": tuple(_date_of(each) for each in values["dates"]),
                "arrivals": tuple(Arrivals(**each) for each in values["arrivals"]),
                # Sets that were frozen before there were samples hold everybody.
                "sample": CustomerSample(**values.get("sample", {})),
            }
        )


def data_path(settings: Settings, training_set_id: str) -> Path:
    """Return where the rows of a set lie."""
    return settings.local_dir / FOLDER / f"{training_set_id}.parquet"


def save(settings: Settings, frozen: FrozenSet) -> None:
    """Write the metadata, whole or not at all; the set exists from then on."""
    path = data_path(settings, frozen.training_set_id).with_suffix(".json")
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(frozen.to_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(half, path)


def find(settings: Settings, training_set_id: str) -> FrozenSet | None:
    """Return the metadata of a set by its whole id, or None; the rows are not looked at."""
    path = data_path(settings, training_set_id).with_suffix(".json")
    if not path.is_file():
        return None
    try:
        return FrozenSet.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The metadata of a frozen training set, {path}, cannot be read "
            f"({type(error).__name__}: {error}). Bring it back from a copy, or remove it and its "
            "Parquet file and freeze anew: `holdfast freeze`."
        ) from error


def named(settings: Settings, name: str) -> FrozenSet:
    """Return the metadata of the set that an id, or the beginning of one, names.

    Raises
    ------
    UsageError
        Where no set has it, or several have.
    """
    known = sorted(path.stem for path in (settings.local_dir / FOLDER).glob("*.json"))
    matching = [each for each in known if _ID.fullmatch(name) and each.startswith(name)]
    if len(matching) != 1:
        listed = ", ".join(each[:12] for each in known) or "none"
        how_many = "several do" if matching else "none does"
        raise UsageError(
            f"Expected a frozen training set whose id begins with '{name}' (4 characters or more), "
            f"but {how_many}. There are: {listed}. `holdfast freeze` makes one."
        )
    frozen = find(settings, matching[0])
    assert frozen is not None
    return frozen


def verify(settings: Settings, frozen: FrozenSet) -> Path:
    """Return the file with the rows of a set, which is byte for byte what was frozen.

    Raises
    ------
    DataError
        Where it is gone, or a byte of it has changed.
    """
    path = data_path(settings, frozen.training_set_id)
    remedy = (
        "Rebuild it from the warehouse: `holdfast freeze --reproduce "
        f"{frozen.training_set_id[:12]}` puts it back if it comes out as it was frozen."
    )
    if not path.is_file():
        raise DataError(f"Expected the frozen training set at {path}; it is gone. {remedy}")
    found = sha256_of_file(path)
    if found != frozen.sha256:
        raise DataError(
            f"The frozen training set {path} was changed after it was frozen: expected SHA-256 "
            f"{frozen.sha256}, found {found}. Nothing was read from it. {remedy}"
        )
    return path


def read_history(settings: Settings, frozen: FrozenSet) -> History:
    """Return what may be learnt from a frozen set; its file is verified first.

    Raises
    ------
    DataError
        As `verify`.
    """
    path = verify(settings, frozen)
    keys = pq.read_table(path, columns=list(KEY_COLUMNS), use_threads=False)
    return History(
        contract=frozen.contract,
        rows=LabelledRows.of(keys.select(list(KEY_COLUMNS)), frozen.sample),
        dates=tuple(
            DateLabels(each.as_of_date, each.observations, each.labelled, each.label_known_at)
            for each in frozen.dates
        ),
        fingerprints={each.as_of_date: each.gold_fingerprint for each in frozen.dates},
        data_from=datetime.combine(frozen.from_date, datetime.min.time()),
        data_until=frozen.cutoff,
    )


def read_frame(
    settings: Settings, frozen: FrozenSet, kept: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    """Return the features of a frozen set, `(n_observations, n_features)`; verified first.

    Parameters
    ----------
    kept
        The rows wanted, `(row_count,)`; None: all.

    Raises
    ------
    DataError
        As `verify`.
    ValueError
        If `kept` is for other rows.
    """
    path = verify(settings, frozen)
    types = frozen.contract.types
    wanted = np.ones(frozen.row_count, dtype=bool) if kept is None else kept
    if wanted.shape != (frozen.row_count,):
        raise ValueError(f"expected a flag for each of {frozen.row_count} rows, got {wanted.shape}")

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                for batch in file.read_row_group(group, columns=list(types)).to_batches():
                    here = wanted[start : start + batch.num_rows]
                    start += batch.num_rows
                    yield batch if here.all() else batch.filter(pa.array(here))

    return matrix.gather_frame(batches(), types, int(wanted.sum()))


def register(warehouse: Warehouse, frozen: FrozenSet) -> None:
    """Write a set's row of `ml.training_sets`; the same set twice, as once."""
    row = {name: getattr(frozen, name) for name in TRAINING_SETS_SCHEMA.names if name != "path"} | {
        "path": frozen.path
    }
    warehouse.replace_slice(
        "ml.training_sets",
        pa.Table.from_pylist([row], schema=TRAINING_SETS_SCHEMA),
        where={"training_set_id": frozen.training_set_id},
    )


def is_registered(warehouse: Warehouse, training_set_id: str) -> bool:
    """Return whether `ml.training_sets` tells of a set."""
    found = warehouse.query(
        "select 1 from ml.training_sets where training_set_id = ?", [training_set_id]
    )
    return bool(found.num_rows)


def changed_arrivals(
    then: Sequence[Arrivals], now: Sequence[Arrivals]
) -> dict[str, tuple[int, int]]:
    """Return the inputs whose rows differ: entity to row counts then and now."""
    before = {each.entity: each for each in then}
    after = {each.entity: each for each in now}
    nothing = Arrivals("", 0, "")
    return {
        entity: (before.get(entity, nothing).row_count, after.get(entity, nothing).row_count)
        for entity in sorted(before.keys() | after.keys())
        if before.get(entity) != after.get(entity)
    }


def _date_of(values: Mapping[str, Any]) -> FrozenDate:
    known = values["label_known_at"]
    return FrozenDate(
        **{
            **values,
            "as_of_date": date.fromisoformat(values["as_of_date"]),
            "label_known_at": None if known is None else datetime.fromisoformat(known),
        }
    )


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
