"""A company's raw files in parts, and a second delivery that touches what it can."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

BACK_DATED = pd.Timestamp("2024-03-15 12:00:00")
ENTITIES = ("customers", "subscriptions", "activity", "tickets", "invoices", "orders", "touches")


def in_parts(flat: Path, raw: Path) -> None:
    """Lay each entity out as a folder with one part, so that later parts can come."""
    for entity in ENTITIES:
        (raw / entity).mkdir(parents=True)
        pq.write_table(pq.read_table(flat / f"{entity}.parquet"), raw / entity / "part1.parquet")


def deliver(raw: Path) -> None:
    """Bring late, corrected, back-dated and conflicting rows, and take a day's orders away."""
    activity = _part(raw, "activity").dropna(subset=["activity_id", "customer_id"])
    activity = activity[activity["occurred_at"] <= activity["known_at"]]
    last = activity["known_at"].max()
    late = activity.tail(60).assign(known_at=last + pd.Timedelta(days=2))
    late["activity_id"] = "late" + late["activity_id"]
    old = activity[activity["known_at"] < BACK_DATED - pd.Timedelta(days=1)]
    back_dated = old.tail(40).assign(known_at=BACK_DATED)
    back_dated["activity_id"] = "back" + back_dated["activity_id"]
    # Facts that we knew later, and that now say to have been known earlier, with another value.
    is_later = (activity["known_at"] > BACK_DATED + pd.Timedelta(days=1)) & (
        activity["occurred_at"] < BACK_DATED
    )
    earlier = activity[is_later].head(5).assign(known_at=BACK_DATED, quantity=50)
    conflict = activity.head(3).assign(known_at=last + pd.Timedelta(days=1), quantity=77)
    _write(raw, "activity", pd.concat([late, back_dated, earlier, conflict, activity.tail(4)]))
    customers = _part(raw, "customers").dropna(subset=["customer_id"])
    known = customers[customers["known_at"] < BACK_DATED].head(10)
    _write(
        raw,
        "customers",
        pd.concat(
            [
                known.assign(known_at=BACK_DATED, industry="corrected"),
                known.tail(4).assign(known_at=last + pd.Timedelta(hours=3), country="NL"),
            ]
        ),
    )
    subscriptions = _part(raw, "subscriptions").dropna(subset=["subscription_id", "customer_id"])
    _write(
        raw,
        "subscriptions",
        subscriptions[subscriptions["started_at"] < last]
        .tail(5)
        .assign(known_at=last + pd.Timedelta(hours=5, microseconds=7), plan="another"),
    )
    orders = _part(raw, "orders")
    days = orders["known_at"].dt.date
    gone = days.dropna().iloc[len(orders) // 2]
    _write(raw, "orders", orders[days != gone], name="part1")


def _part(raw: Path, entity: str) -> pd.DataFrame:
    return pq.read_table(raw / entity / "part1.parquet").to_pandas()


def _write(raw: Path, entity: str, rows: pd.DataFrame, name: str = "part2") -> None:
    first = pq.read_schema(raw / entity / "part1.parquet").remove_metadata()
    rows = rows[first.names].reset_index(drop=True)
    table = pa.Table.from_pandas(rows, schema=first, preserve_index=False)
    pq.write_table(table, raw / entity / f"{name}.parquet")
