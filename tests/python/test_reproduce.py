"""A frozen set comes out byte for byte after its past was corrected, and not after it was altered.

On the demo company, built by dbt from raw files before and after the corrections came.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reference import Rules
from test_incremental import split_into_folders
from test_reference import NO_LIMIT, build_gold

from ml.frozen.compare import compare
from ml.frozen.freeze import FreezeResult, freeze
from ml.frozen.reproduce import Reproduction, reproduce
from ml.settings import Settings
from ml.simulate import simulate

EACH = 250
EARLIER = "2024-08-10"


@dataclass(frozen=True)
class Told:
    """One company: frozen, corrected a thousand times, and at last tampered with."""

    settings: Settings
    frozen: FreezeResult
    corrections: int
    moved: tuple[int, int]
    corrected: Reproduction
    frozen_later: FreezeResult
    earlier: FreezeResult
    tampered: Reproduction


def newest_rows(raw: Path, entity: str, key: str, event: str, before: pd.Timestamp) -> pd.DataFrame:
    """Return the newest version of some rows whose event lies well before a moment."""
    rows = pq.read_table(raw / entity / "part1.parquet").to_pandas()
    rows = rows.dropna(subset=[key, "customer_id", event, "known_at"])
    rows = rows[rows[event] < before - pd.Timedelta(days=60)]
    return rows.sort_values("known_at").drop_duplicates(key, keep="last").head(EACH)


def corrections(raw: Path, newest: pd.Timestamp, known_at: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Rows that rewrite what happened long before `newest`, known at a given moment."""
    customers = newest_rows(raw, "customers", "customer_id", "signed_up_at", newest)
    subscriptions = newest_rows(raw, "subscriptions", "subscription_id", "started_at", newest)
    tickets = newest_rows(raw, "tickets", "ticket_id", "opened_at", newest)
    activity = newest_rows(raw, "activity", "activity_id", "occurred_at", newest)
    return {
        "customers": customers.assign(known_at=known_at, industry="corrected"),
        # They had left long ago, as it turns out, and had paid twice as much.
        "subscriptions": subscriptions.assign(
            known_at=known_at,
            mrr=subscriptions["mrr"] * 2,
            cancelled_at=subscriptions["started_at"] + pd.Timedelta(days=10),
        ),
        "tickets": tickets.assign(
            known_at=known_at, csat_score=1, csat_at=tickets["opened_at"] + pd.Timedelta(days=1)
        ),
        "activity": activity.assign(
            known_at=known_at, activity_id="late" + activity["activity_id"], quantity=50
        ),
    }


def deliver(raw: Path, part: str, rows: dict[str, pd.DataFrame]) -> int:
    for entity, frame in rows.items():
        schema = pq.read_schema(raw / entity / "part1.parquet")
        table = pa.Table.from_pandas(frame, schema, preserve_index=False)
        pq.write_table(table, raw / entity / f"{part}.parquet")
    return sum(len(frame) for frame in rows.values())


def ask(settings: Settings, query: str) -> tuple[object, ...]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        (row,) = connection.execute(query).fetchall()
    return row


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("reproduce")
    simulate(customers=400, months=12, seed=5, out=folder / "flat")
    raw = folder / "local" / "raw"
    split_into_folders(folder / "flat", raw)

    settings = build_gold(folder, Rules(known_until=EARLIER), reject_ratio_max=NO_LIMIT)
    earlier = freeze(settings)
    build_gold(folder, Rules(), reject_ratio_max=NO_LIMIT)
    frozen = freeze(settings)

    (newest,) = ask(settings, "select data_until from silver.clock")
    last = pd.Timestamp(newest)
    brought = corrections(raw, last, last + pd.Timedelta(hours=30))
    count = deliver(raw, "part2", brought)
    churned = (
        "select count(*) from silver.subscriptions_versions "
        "where known_to is null and cancelled_at is not null"
    )
    (before,) = ask(settings, churned)
    build_gold(folder, Rules(), reject_ratio_max=NO_LIMIT)
    (after,) = ask(settings, churned)
    corrected = reproduce(settings, frozen.frozen.training_set_id)
    later = freeze(settings, known_until=pd.Timestamp(EARLIER).to_pydatetime())

    # The very same corrections, but claiming to have been known before the cutoff.
    past = pd.Timestamp(frozen.frozen.cutoff) - pd.Timedelta(days=200)
    rewritten = {
        entity: rows[rows[event] < past - pd.Timedelta(days=30)].assign(known_at=past)
        for entity, rows, event in (
            ("subscriptions", brought["subscriptions"], "cancelled_at"),
            ("activity", brought["activity"], "occurred_at"),
        )
    }
    rewritten["activity"]["activity_id"] = "back" + rewritten["activity"]["activity_id"]
    assert deliver(raw, "part3", rewritten)
    build_gold(folder, Rules(), reject_ratio_max=NO_LIMIT)
    yield Told(
        settings=settings,
        frozen=frozen,
        corrections=count,
        moved=(int(str(before)), int(str(after))),
        corrected=corrected,
        frozen_later=later,
        earlier=earlier,
        tampered=reproduce(settings, frozen.frozen.training_set_id),
    )


def test_a_thousand_later_corrections_change_no_byte(told: Told) -> None:
    assert told.corrections == 4 * EACH
    # They did rewrite what is believed today: many customers had left, it turns out.
    assert told.moved[1] - told.moved[0] > 100
    assert told.corrected.is_same
    assert told.corrected.sha256_now == told.frozen.frozen.sha256
    assert told.corrected.changed_arrivals == {}
    assert told.corrected.verdict.endswith("rows, byte for byte.")


def test_a_past_day_is_frozen_now_as_it_was_frozen_then(told: Told) -> None:
    assert told.earlier.is_new
    assert not told.frozen_later.is_new
    assert told.frozen_later.frozen == told.earlier.frozen
    assert told.earlier.frozen.training_set_id != told.frozen.frozen.training_set_id


def test_what_was_altered_before_the_cutoff_is_told(told: Told) -> None:
    found = told.tampered
    assert not found.is_green
    assert set(found.changed_arrivals) == {"activity", "subscriptions"}
    then, now = found.changed_arrivals["activity"]
    assert now > then
    assert "altered, removed or back-dated since in activity (" in found.verdict
    assert found.difference is not None
    changed = {each.column for each in found.difference.changed_columns}
    assert "actions_365d" in changed
    # Who is now said to have left before the as-of date teaches nothing, and is no row.
    assert found.difference.rows_only_a > 0
    assert found.difference.changed_dates
    # The frozen file itself is as it was.
    path = told.settings.local_dir / told.frozen.frozen.path
    assert compare(path, path).is_same
