"""Past rows with what is known today in place of what was known then: two common leaks, rebuilt.

A warehouse that overwrites holds one row for each customer, subscription, ticket, invoice and
touch: its present state. Whoever computes a past month from it sees the renewal that came later,
the plan of today, the rating of a ticket that was open then. A feature table without history holds
one row of features for each customer, which is joined to labels of every past month.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml import matrix
from ml.audit.scratch import Scratch, audit_folder
from ml.errors import HoldfastError
from ml.profile import DUCKDB, engine_of
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.training_set import LabelledRows
from ml.warehouse import Warehouse, known_error, open_warehouse

Mask = NDArray[np.bool_]

# Entity to the key of its versions: what a warehouse that overwrites has one row of.
_STATES = {
    "customers": "customer_id",
    "subscriptions": "subscription_id",
    "tickets": "ticket_id",
    "invoices": "invoice_id",
    "touches": "touch_id",
}
# Facts, as they arrived.
_FACTS = (
    "daily_activity",
    "daily_feature_use",
    "daily_onboarding",
    "daily_orders",
    "first_logins",
    "first_week_logins",
)


def of_newest_state(
    settings: Settings,
    types: Mapping[str, str],
    rows: LabelledRows,
    split_at: datetime,
    *,
    progress: Progress = silent,
) -> tuple[pd.DataFrame, Mask]:
    """Return features as the gold models compute them where every state is that of the split.

    Facts (activity, orders) count as they arrived. The models are the project's own, built in a
    scratch warehouse.

    Returns
    -------
    frame
        `(n_observations, n_features)`, in the order of `rows`.
    found
        Which rows there are at all: today's state may say that nobody was a customer then.

    Raises
    ------
    HoldfastError
        Where the scratch warehouse cannot be built.
    """
    if engine_of(settings) != DUCKDB:
        raise HoldfastError(
            f"The receipt rebuilds today's state in a DuckDB warehouse, and the target "
            f"{settings.target} is another engine. Run it with --target duckdb on the same raw "
            "files."
        )
    moment = f"{split_at:%Y-%m-%d %H:%M:%S}"
    with audit_folder(settings, "receipt") as folder:
        own = Scratch.at(settings, folder, vars={"known_until": moment})
        _copy_silver(settings.warehouse_path, own.settings.warehouse_path, split_at)
        own.build(
            ["+gold_customer_360,holdfast.gold", "+gold_customer_360,resource_type:seed"],
            seeds=True,
            progress=progress,
        )
        with open_warehouse(own.settings, read_only=True) as warehouse:
            return _aligned(warehouse, types, rows, "select * from gold.customer_360")


def of_newest_observation(
    warehouse: Warehouse, types: Mapping[str, str], rows: LabelledRows, split_at: datetime
) -> pd.DataFrame:
    """Return, for every row, the features of its customer's newest observation at the split.

    Returns
    -------
    DataFrame
        `(n_observations, n_features)`, in the order of `rows`.
    """
    newest = f"""
        select * from (
            select
                *,
                row_number() over (
                    partition by customer_id order by as_of_date desc nulls last
                ) as place
            from gold.customer_360
            where as_of_date <= date '{split_at:%Y-%m-%d}'
        ) as by_date
        where place = 1
    """
    columns = ", ".join(f'newest."{name}"' for name in types)
    frame, _ = _aligned(
        warehouse,
        types,
        rows,
        f"select past.customer_id, past.as_of_date, {columns} from gold.training_set as past "
        f"inner join ({newest}) as newest on past.customer_id = newest.customer_id",
    )
    return frame


def _aligned(
    warehouse: Warehouse, types: Mapping[str, str], rows: LabelledRows, relation: str
) -> tuple[pd.DataFrame, Mask]:
    """Return the features of a relation in the order of `rows`, and which rows it has."""
    columns = ", ".join(f'"{name}"' for name in types)
    last = matrix.as_date(rows.as_of_date.max())
    wanted = f"as_of_date <= $1 and {rows.sample.condition}"
    keys: list[pa.Table] = []
    (count,) = warehouse.query(
        f"select count(*) as rows from ({relation}) as past where {wanted}", [last]
    )["rows"].to_pylist()

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in warehouse.stream(
            f"select customer_id, as_of_date, {columns} from ({relation}) as past "
            f"where {wanted} order by as_of_date, {warehouse.in_code_order('customer_id')}",
            [last],
        ):
            keys.append(pa.Table.from_batches([batch.select(["customer_id", "as_of_date"])]))
            yield batch

    frame = matrix.gather_frame(batches(), types, count)
    place = pd.MultiIndex.from_frame(pa.concat_tables(keys).to_pandas()).get_indexer(
        pd.MultiIndex.from_frame(rows.keys.select(["customer_id", "as_of_date"]).to_pandas())
    )
    return frame.take(np.maximum(place, 0)).reset_index(drop=True), place >= 0


def _copy_silver(real: Path, own: Path, split_at: datetime) -> None:
    """Copy silver as known at the split; of every entity's versions only the last one."""
    quoted = str(real).replace("'", "''")
    moment = f"timestamp '{split_at:%Y-%m-%d %H:%M:%S}'"
    try:
        with duckdb.connect(str(own)) as connection:
            connection.execute(f"attach '{quoted}' as standing (read_only)")
            connection.execute("create schema silver")
            for entity, key in _STATES.items():
                connection.execute(f"""
                    create table silver.{entity}_versions as
                    select
                        * exclude (known_first, place) replace (
                            known_first as known_from, cast(null as timestamp) as known_to
                        )
                    from (
                        select
                            *,
                            min(known_from) over (partition by {key}) as known_first,
                            row_number() over (
                                partition by {key} order by known_from desc nulls last
                            ) as place
                        from standing.silver.{entity}_versions
                        where known_from < {moment}
                    )
                    where place = 1
                """)
            for table in (*_FACTS, "arrivals"):
                connection.execute(
                    f"create table silver.{table} as from standing.silver.{table} "
                    f"where known_date < {moment}"
                )
            connection.execute(
                f"create table silver.clock as select data_from, {moment} as data_until "
                "from standing.silver.clock"
            )
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise known_error(real, message) or HoldfastError(
            f"Silver could not be copied from {real} for the receipt: {message} "
            "Build it first: `dbt build`."
        ) from error
