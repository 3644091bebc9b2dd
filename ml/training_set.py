"""Read what may be learnt from: labelled rows of gold, their features, and what dates they span."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml import matrix, splits
from ml.contract import require_types
from ml.errors import ContractError, DataError
from ml.metrics import Outcomes
from ml.warehouse import Warehouse

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEGMENTS = ("cohort", "value_tier")


_KEY_COLUMNS = (
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
    """The labelled rows of gold in key order, without their features."""

    keys: pa.Table
    customer: NDArray[np.int64]
    customers: Sequence[str]
    as_of_date: NDArray[np.datetime64]
    label_known_at: NDArray[np.datetime64]
    is_churn: Floats
    weight: Floats
    monthly_revenue: Floats
    days_to_churn: Floats

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


def read_labelled_rows(warehouse: Warehouse) -> LabelledRows:
    """Return the rows of gold.training_set, sorted by key, without their features."""
    columns = ", ".join(_KEY_COLUMNS)
    keys = warehouse.query(
        f"select {columns} from gold.training_set order by as_of_date, customer_id"
    )
    customer, customers = matrix.to_codes(keys.column("customer_id"))
    return LabelledRows(
        keys=keys,
        customer=customer,
        customers=customers,
        as_of_date=matrix.to_days(keys.column("as_of_date")),
        label_known_at=matrix.to_days(keys.column("label_known_at")),
        is_churn=matrix.to_floats(keys.column("is_churn")),
        weight=matrix.to_floats(keys.column("sample_weight")),
        monthly_revenue=matrix.to_floats(keys.column("monthly_revenue")),
        days_to_churn=matrix.to_floats(keys.column("days_to_churn")),
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
            "order by as_of_date, customer_id"
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


def read_test_period(warehouse: Warehouse, test_dates: int) -> splits.TestPeriod:
    """Return the test dates, from the grid's labels and the data's own clock.

    Raises
    ------
    DataError
        If the data cannot carry a test; see `splits.test_period`.
    """
    found = warehouse.query(
        """
        select
            dates.as_of_date,
            count(labels.customer_id) as observations,
            count(labels.customer_id) filter (where labels.is_label_available) as labelled,
            max(labels.label_known_at) as label_known_at
        from gold.as_of_dates as dates
        left join gold.churn_labels as labels
            on dates.as_of_date = labels.as_of_date
        where dates.is_grid
        group by dates.as_of_date
        order by dates.as_of_date
        """
    )
    clock = warehouse.query("select data_from, data_until from silver.clock").to_pylist()
    if len(clock) != 1 or clock[0]["data_until"] is None:
        raise DataError(
            f"Expected one row with the data's span in silver.clock, found {clock}. "
            "Check that the inputs hold rows, then run `dbt build`."
        )
    return splits.test_period(
        [splits.DateLabels(**row) for row in found.to_pylist()],
        test_dates,
        data_from=clock[0]["data_from"],
        data_until=clock[0]["data_until"],
    )


def gold_fingerprint_of(warehouse: Warehouse, as_of_dates: NDArray[np.datetime64]) -> str:
    """Return one fingerprint of gold.customer_360 over several dates.

    Raises
    ------
    ContractError
        If a date has none.
    """
    found = warehouse.query(
        "select as_of_date, fingerprint from gold.fingerprints where relation = 'customer_360'"
    )
    known = {
        matrix.as_date(row["as_of_date"]): str(row["fingerprint"]) for row in found.to_pylist()
    }
    used = [matrix.as_date(day) for day in np.unique(as_of_dates)]
    missing = [str(day) for day in used if day not in known]
    if missing:
        raise ContractError(
            f"Expected a fingerprint of gold.customer_360 for every date, found none for "
            f"{', '.join(missing)}. Build gold again: `dbt build --select gold_fingerprints`."
        )
    return sha256_of(*(f"{day} {known[day]}" for day in used))


def sha256_of(*parts: str) -> str:
    """Return the sha256 of some texts, one a line."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
