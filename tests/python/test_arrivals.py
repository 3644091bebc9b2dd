"""The audit of arrivals: any history ends where one build ends, and a lost row is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.audit import arrivals as module
from ml.audit.arrivals import ScheduleResult, arrivals
from ml.audit.schedules import Rows, Schedule, draw_schedule
from ml.errors import UsageError
from ml.settings import Settings


def rows(count: int = 400) -> Rows:
    """Rows of one entity, by customer and moment."""
    moments = pa.array([1_700_000_000_000_000 + 3_600_000_000 * place for place in range(count)])
    return {
        "activity": pa.table(
            {
                "activity_id": [str(place) for place in range(count)],
                "customer_id": [f"c{place % 7}" for place in range(count)],
                "known_at": moments.cast(pa.timestamp("us")),
            }
        )
    }


@pytest.mark.parametrize("seed", range(10))
def test_every_row_is_there_once_at_the_end(seed: int, tmp_path: Path) -> None:
    table = rows()
    schedule = draw_schedule(table, seed)
    standing = []
    for batch in range(schedule.batches):
        schedule.deliver(table, batch, tmp_path)
        files = sorted((tmp_path / "activity").glob("*.parquet"))
        standing.append(
            sorted(pa.concat_tables(map(pq.read_table, files))["activity_id"].to_pylist())
        )
    assert standing[-1] == sorted(table["activity"]["activity_id"].to_pylist())
    # What the source deletes is gone for a while.
    gone = [place for place in schedule.goes.get("activity", {})]
    if schedule.batches > 2 and gone:
        assert any(str(place) not in day for place in gone for day in standing)
    assert draw_schedule(table, seed) == schedule


def test_schedules_delete_and_resend() -> None:
    schedules = [draw_schedule(rows(), seed) for seed in range(20)]
    assert sum(len(each.goes.get("activity", {})) for each in schedules) > 50
    assert len({each.order for each in schedules}) == 5


def test_histories_end_where_one_build_ends(demo_copy: Settings) -> None:
    result = arrivals(demo_copy, schedules=3, customers=6, seed=1)
    assert result.is_green, result.to_dict()
    assert [each.seed for each in result.schedules] == [1, 2, 3]
    assert result.builds >= 6
    assert result.dates_least > 0
    assert result.dates_rebuilt >= result.dates_least


def test_a_row_that_never_arrives_is_seen(
    demo_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(table: Rows, seed: int) -> Schedule:
        drawn = draw_schedule(table, seed)
        # One row of activity, and no repeat of it, comes in a batch that never comes.
        keys = table["activity"]["activity_id"].to_pylist()
        place = next(place for place, key in enumerate(keys) if keys.count(key) == 1)
        comes = list(drawn.comes["activity"])
        comes[place] = drawn.batches
        goes = {name: each for name, each in drawn.goes.items() if name != "activity"}
        return replace(drawn, comes={**drawn.comes, "activity": tuple(comes)}, goes=goes)

    monkeypatch.setattr(module, "draw_schedule", lossy)
    result = arrivals(demo_copy, schedules=1, customers=6, seed=1)
    assert not result.is_green
    (failed,) = result.failed
    assert "silver.daily_activity" in failed.different_tables


def test_rebuilding_more_than_had_to_be_is_red() -> None:
    schedule = ScheduleResult(0, "any order", 3, 100, 12, 10, ())
    result = module.ArrivalsResult("a", module.now(), 5, (schedule,), Path("report.json"))
    assert result.rebuilt_ratio == 1.2
    assert not result.is_green
    thrifty = replace(result, schedules=(replace(schedule, dates_rebuilt=11),))
    assert thrifty.is_green


def test_numbers_below_one_are_refused(demo_copy: Settings) -> None:
    with pytest.raises(UsageError, match="--schedules wants at least 1, not 0"):
        arrivals(demo_copy, schedules=0)
