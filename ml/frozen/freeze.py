"""Freeze what the warehouse has to learn from: write it, name it by its content, register it."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.clock import utc_now
from ml.contract import load_contract
from ml.errors import DataError
from ml.frozen import parquet, sets
from ml.frozen.sets import Arrivals, FrozenDate, FrozenSet
from ml.progress import Progress, silent
from ml.sampling import CustomerSample, choose_sample
from ml.settings import Settings
from ml.training_set import History, read_history, require_features
from ml.warehouse import Warehouse, open_warehouse

_BEFORE_FEATURES = (
    "customer_id",
    "as_of_date",
    "cohort",
    "observation_days",
    "horizon_days",
    "value_tier",
    "monthly_revenue",
    "sample_weight",
)
_AFTER_FEATURES = ("is_churn", "churned_at", "days_to_churn", "churn_type", "label_known_at")

_BATCH_ROWS = 20_000


@dataclass(frozen=True)
class FreezeResult:
    """What `freeze` came to.

    Attributes
    ----------
    is_new
        False when this very set was frozen before.
    """

    is_new: bool
    frozen: FrozenSet

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {"is_new": self.is_new, **self.frozen.to_dict()}


def freeze(
    settings: Settings,
    *,
    known_until: datetime | None = None,
    progress: Progress | None = None,
) -> FreezeResult:
    """Freeze every labelled row of the grid whose label was known at a moment, and register it.

    Where those are more than `train.max_rows`, a sample of customers is frozen.

    A set is named by its content, so freezing the same rows again finds the set that is there.

    Parameters
    ----------
    known_until
        The moment; None: the end of the data.

    Raises
    ------
    DataError
        If no label was known then, or the set is there and its file was changed.
    ContractError
        If gold does not fit the feature contract.
    """
    result = write_set(settings, known_until=known_until, progress=progress)
    register(settings, result.frozen)
    return result


def write_set(
    settings: Settings,
    *,
    known_until: datetime | None = None,
    progress: Progress | None = None,
) -> FreezeResult:
    """Freeze as `freeze` does, and leave the warehouse as it is.

    Raises
    ------
    DataError
        If no label was known then, or the set is there and its file was changed.
    ContractError
        If gold does not fit the feature contract.
    """
    say = progress or silent
    contract = load_contract(settings.manifest_path)
    with open_warehouse(settings, read_only=True) as warehouse:
        say("Reading labels", 0, 0)
        sample = choose_sample(warehouse, settings.train.max_rows, known_until=known_until)
        history = read_history(warehouse, contract, sample, known_until=known_until)
        require_features(warehouse, "gold.training_set", contract.types)
        if not history.rows.keys.num_rows:
            raise DataError(
                f"Expected labels known by {history.data_until:%Y-%m-%d}, found none in "
                "gold.training_set. Build gold with more history, or name a later moment with "
                "--known-until."
            )
        standing = sets.find(settings, history.training_set_id)
        if standing is None:
            frozen = _write(settings, warehouse, history, say)
            sets.save(settings, frozen)
        else:
            sets.verify(settings, standing)
            frozen = standing
    return FreezeResult(standing is None, frozen)


def register(settings: Settings, frozen: FrozenSet) -> None:
    """Let `ml.training_sets` tell of a set, where it does not yet."""
    with open_warehouse(settings, read_only=True) as warehouse:
        if sets.is_registered(warehouse, frozen.training_set_id):
            return
    with open_warehouse(settings) as warehouse:
        sets.register(warehouse, frozen)


def write_rows(
    path: Path,
    warehouse: Warehouse,
    columns: Sequence[str],
    cutoff: datetime,
    sample: CustomerSample,
    *,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> tuple[parquet.Written, pa.Schema]:
    """Write the rows whose label was known at the cutoff, in key order, to a Parquet file.

    Parameters
    ----------
    columns
        Columns of gold.training_set, checked to be there.
    sample
        Whose rows are written.
    on_rows
        Called with the number of rows so far.
    """
    listed = ", ".join(f'"{name}"' for name in columns)
    wanted = (
        f"select {listed} from gold.training_set "
        f"where label_known_at <= cast($1 as timestamp) and {sample.condition}"
    )
    schema = parquet.plain_schema(warehouse.query(f"{wanted} limit 0", [cutoff]).schema)

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in warehouse.stream(
            f"{wanted} order by as_of_date, {warehouse.in_code_order('customer_id')}",
            [cutoff],
            _BATCH_ROWS,
        ):
            done += batch.num_rows
            on_rows(done)
            yield batch

    path.parent.mkdir(parents=True, exist_ok=True)
    return parquet.write(path, schema, batches()), schema


def read_arrivals(warehouse: Warehouse, cutoff: datetime) -> tuple[Arrivals, ...]:
    """Return what of each input was known before the cutoff, a midnight."""
    found = warehouse.query(
        """
        select entity, known_date, row_count, fingerprint
        from silver.arrivals
        where known_date < cast($1 as timestamp)
        order by entity, known_date
        """,
        [cutoff],
    ).to_pylist()
    return tuple(
        Arrivals(
            entity=entity,
            row_count=sum(day["row_count"] for day in days),
            fingerprint=hashlib.md5(
                ";".join(f"{day['known_date']} {day['fingerprint']}" for day in days).encode()
            ).hexdigest(),
        )
        for entity, days in (
            (entity, list(rows)) for entity, rows in groupby(found, key=itemgetter("entity"))
        )
    )


def _write(settings: Settings, warehouse: Warehouse, history: History, say: Progress) -> FrozenSet:
    training_set_id, cutoff = history.training_set_id, history.cutoff
    path = sets.data_path(settings, training_set_id)
    half = path.with_name(f".{path.name}.half")
    total = history.rows.keys.num_rows
    try:
        written, schema = write_rows(
            half,
            warehouse,
            (*_BEFORE_FEATURES, *history.contract.names, *_AFTER_FEATURES),
            cutoff,
            history.rows.sample,
            on_rows=lambda rows: say("Freezing", rows, total),
        )
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return FrozenSet(
        training_set_id=training_set_id,
        created_at=utc_now(),
        cutoff=cutoff,
        row_count=written.rows,
        churned=int(history.rows.is_churn.sum()),
        sha256=written.sha256,
        content_sha256=written.content_sha256,
        gold_fingerprint=history.gold_fingerprint(history.rows.as_of_date),
        features_hash=history.contract.features_hash,
        columns={field.name: str(field.type) for field in schema},
        features=history.contract.features,
        dates=tuple(
            FrozenDate(
                as_of_date=each.as_of_date,
                observations=each.observations,
                labelled=each.labelled,
                label_known_at=each.label_known_at,
                gold_fingerprint=history.fingerprints[each.as_of_date],
            )
            for each in history.dates
            if each.labelled and each.as_of_date in history.fingerprints
        ),
        arrivals=read_arrivals(warehouse, cutoff),
        writer=parquet.WRITER,
        path=str(path.relative_to(settings.local_dir)),
        sample=history.rows.sample,
    )
