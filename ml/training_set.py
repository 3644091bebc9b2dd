"""Read what may be learnt from: labelled rows of gold, their features, and what dates they span."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml import matrix, splits
from ml.contract import FeatureContract, require_types
from ml.errors import ContractError, DataError
from ml.metrics import Outcomes
from ml.sampling import EVERYBODY, CustomerSample
from ml.warehouse import Warehouse

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEGMENTS = ("cohort", "value_tier")

KEY_COLUMNS = (
    "customer_id",
    "as_of_date",
    "cohort",
    "value_tier",
    "monthly_revenue",
    "sample_weight",
    "is_churn",
    "days_to_churn",
    "label_known_at",
)


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of gold in key order, without their features.

    Attributes
    ----------
    sample
        Whose rows they are.
    weight
        How much each counts by its value tier, and by how many rows of all it stands for.
    """

    keys: pa.Table
    customer: NDArray[np.int64]
    customers: Sequence[str]
    as_of_date: NDArray[np.datetime64]
    label_known_at: NDArray[np.datetime64]
    is_churn: Floats
    weight: Floats
    monthly_revenue: Floats
    days_to_churn: Floats
    sample: CustomerSample = EVERYBODY

    @classmethod
    def of(cls, keys: pa.Table, sample: CustomerSample = EVERYBODY) -> "LabelledRows":
        """Return rows in key order from a table of `KEY_COLUMNS`, of a sample of customers."""
        customer, customers = matrix.to_codes(keys.column("customer_id"))
        return cls(
            keys=keys,
            customer=customer,
            customers=customers,
            as_of_date=matrix.to_days(keys.column("as_of_date")),
            label_known_at=matrix.to_days(keys.column("label_known_at")),
            is_churn=matrix.to_floats(keys.column("is_churn")),
            weight=matrix.to_floats(keys.column("sample_weight")) * sample.weight,
            monthly_revenue=matrix.to_floats(keys.column("monthly_revenue")),
            days_to_churn=matrix.to_floats(keys.column("days_to_churn")),
            sample=sample,
        )

    def learnable(self) -> splits.Learnable:
        """Return what splitting looks at."""
        return splits.Learnable(
            customer=self.customer,
            customers=self.customers,
            as_of_date=self.as_of_date,
            label_known_at=self.label_known_at,
            is_churn=self.is_churn,
        )

    def outcomes(self, rows: Mask) -> Outcomes:
        """Return what happened to some rows, their customers numbered anew."""
        _, customer = np.unique(self.customer[rows], return_inverse=True)
        return Outcomes(
            self.is_churn[rows],
            self.days_to_churn[rows],
            self.monthly_revenue[rows],
            customer.astype(np.int64),
        )

    def segments(self, rows: Mask) -> dict[str, NDArray[np.object_]]:
        """Return the segments of some rows, by kind of segment."""
        return {name: matrix.to_objects(self.keys.column(name))[rows] for name in SEGMENTS}


@dataclass(frozen=True)
class History:
    """What may be learnt from, all but the features themselves.

    Attributes
    ----------
    rows
        Every labelled row, in key order.
    dates
        How far the labels of each grid date have come.
    fingerprints
        Of `gold.customer_360`, by as-of date.
    data_from, data_until
        What the data covers.
    """

    contract: FeatureContract
    rows: LabelledRows
    dates: tuple[splits.DateLabels, ...]
    fingerprints: Mapping[date, str]
    data_from: datetime
    data_until: datetime

    @property
    def cutoff(self) -> datetime:
        """The moment at which the last of the labels became known."""
        last: datetime = self.rows.label_known_at.max().astype("datetime64[us]").astype(object)
        return last

    @property
    def training_set_id(self) -> str:
        """Identifies the rows: their keys and labels, features and the cutoff."""
        return sha256_of(
            self.contract.features_hash,
            self.gold_fingerprint(self.rows.as_of_date),
            matrix.digest(self.rows.keys),
            str(self.cutoff),
        )

    def gold_fingerprint(self, as_of_dates: NDArray[np.datetime64]) -> str:
        """Return one fingerprint of gold.customer_360 over several dates.

        Raises
        ------
        ContractError
            If a date has none.
        """
        used = [matrix.as_date(day) for day in np.unique(as_of_dates)]
        missing = [str(day) for day in used if day not in self.fingerprints]
        if missing:
            raise ContractError(
                f"Expected a fingerprint of gold.customer_360 for every date, found none for "
                f"{', '.join(missing)}. Build gold again: `dbt build --select gold_fingerprints`."
            )
        return sha256_of(*(f"{day} {self.fingerprints[day]}" for day in used))


def read_history(
    warehouse: Warehouse,
    contract: FeatureContract,
    sample: CustomerSample,
    *,
    known_until: datetime | None = None,
) -> History:
    """Return what the warehouse has to learn from.

    Parameters
    ----------
    sample
        Whose rows are read; the counts of each date are of all customers.
    known_until
        Take the labels known by this moment alone; None: all of them.

    Raises
    ------
    DataError
        If the warehouse does not know what its data covers.
    """
    data_from, data_until = _read_clock(warehouse)
    until = data_until if known_until is None else min(known_until, data_until)
    dates = _read_date_labels(warehouse, until)
    fingerprints = warehouse.query(
        "select as_of_date, fingerprint from gold.fingerprints where relation = 'customer_360'"
    ).to_pylist()
    return History(
        contract=contract,
        rows=read_labelled_rows(warehouse, sample, known_until=until),
        dates=dates,
        fingerprints={
            matrix.as_date(row["as_of_date"]): str(row["fingerprint"]) for row in fingerprints
        },
        data_from=data_from,
        data_until=until,
    )


def read_labelled_rows(
    warehouse: Warehouse, sample: CustomerSample, *, known_until: datetime | None = None
) -> LabelledRows:
    """Return the rows of gold.training_set, sorted by key, without their features.

    Parameters
    ----------
    sample
        Whose rows are read.
    known_until
        Those whose label was known by this moment; None: all.
    """
    columns = ", ".join(KEY_COLUMNS)
    return LabelledRows.of(
        warehouse.query(
            f"select {columns} from gold.training_set "
            "where ($1 is null or label_known_at <= cast($1 as timestamp)) "
            f"and {sample.condition} "
            f"order by as_of_date, {warehouse.in_code_order('customer_id')}",
            [known_until],
        ),
        sample,
    )


def read_features(
    warehouse: Warehouse, types: Mapping[str, str], data: LabelledRows
) -> pd.DataFrame:
    """Return the features of the very rows of `data`, in their order.

    Raises
    ------
    DataError
        If the warehouse holds other rows by now.
    """
    # The names come from the contract and were found among the relation's own columns.
    columns = ", ".join(f'"{name}"' for name in types)
    keys: list[pa.Table] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in warehouse.stream(
            f"select customer_id, as_of_date, {columns} from gold.training_set "
            f"where {data.sample.condition} "
            f"order by as_of_date, {warehouse.in_code_order('customer_id')}"
        ):
            keys.append(pa.Table.from_batches([batch.select(["customer_id", "as_of_date"])]))
            yield batch

    frame = matrix.gather_frame(batches(), types, len(data.customer))
    if not pa.concat_tables(keys).equals(data.keys.select(["customer_id", "as_of_date"])):
        raise DataError(
            "Expected the same rows of gold.training_set as a moment ago, found others: "
            "something rebuilt gold meanwhile. Run again when it is done."
        )
    return frame


def require_features(warehouse: Warehouse, relation: str, types: Mapping[str, str]) -> None:
    """Raise unless a relation of the warehouse has every feature with its type."""
    require_types(
        types,
        warehouse.columns(relation),
        what=f"{relation} in the warehouse",
        remedy="Build gold again (`dbt build`); if the features have changed on purpose, train "
        "again (`holdfast train`).",
    )


def _read_date_labels(warehouse: Warehouse, until: datetime) -> tuple[splits.DateLabels, ...]:
    found = warehouse.query(
        """
        select
            dates.as_of_date,
            count(labels.customer_id) as observations,
            count(labels.customer_id) filter (
                where labels.is_label_available and labels.label_known_at <= cast($1 as timestamp)
            ) as labelled,
            max(labels.label_known_at) as label_known_at
        from gold.as_of_dates as dates
        left join gold.churn_labels as labels
            on dates.as_of_date = labels.as_of_date
        where dates.is_grid
        group by dates.as_of_date
        order by dates.as_of_date
        """,
        [until],
    )
    return tuple(splits.DateLabels(**row) for row in found.to_pylist())


def _read_clock(warehouse: Warehouse) -> tuple[datetime, datetime]:
    clock = warehouse.query("select data_from, data_until from silver.clock").to_pylist()
    if len(clock) != 1 or clock[0]["data_until"] is None:
        raise DataError(
            f"Expected one row with the data's span in silver.clock, found {clock}. "
            "Check that the inputs hold rows, then run `dbt build`."
        )
    return clock[0]["data_from"], clock[0]["data_until"]


def sha256_of(*parts: str) -> str:
    """Return the sha256 of some texts, one a line."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
