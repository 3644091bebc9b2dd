"""The benchmark: its implementations agree, and its arithmetic is right. Nothing here is timed."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from bench.agreement import Agreement, compare
from bench.contenders import ALL
from bench.one_day import model_time
from bench.page import out_of_reach
from bench.process import Usage, measure
from bench.profile import shares
from bench.ratios import Spread, ratios, slope
from bench.work import COLUMNS, LAST, MEASURES, WINDOWS, Files, column

START = date(2025, 1, 1)
DAYS = 200


@dataclass(frozen=True)
class Row:
    """A row of the ledger, or an observation where nothing but the keys is set."""

    customer_id: str
    activity_date: date
    known_date: date
    measures: tuple[int, ...]


def made_up_ledger(seed: int) -> list[Row]:
    """Few customers, many days: on time, late, learnt of in parts, around every window's edge."""
    chance = np.random.default_rng(seed)
    rows = {}
    for _ in range(600):
        day = START + timedelta(days=int(chance.integers(DAYS)))
        late = int(chance.choice([0, 0, 0, 1, 3, 40, 120]))
        row = Row(
            f"c{chance.integers(6)}",
            day,
            day + timedelta(days=late),
            tuple(int(value) for value in chance.integers(0, 50, len(MEASURES))),
        )
        rows[row.customer_id, day, row.known_date] = row
    return sorted(rows.values(), key=lambda row: (row.known_date, row.customer_id))


def by_the_letter(ledger: list[Row], customer: str, as_of: date) -> dict[str, object]:
    """Return one observation's features as the definition says them; minutes in hundredths."""
    seen = [row for row in ledger if row.customer_id == customer and row.known_date < as_of]
    found: dict[str, object] = {"customer_id": customer, "as_of_date": as_of}
    for days in WINDOWS:
        inside = [row for row in seen if as_of - timedelta(days=days) <= row.activity_date < as_of]
        for place, name in enumerate(MEASURES):
            found[column(name, days)] = sum(row.measures[place] for row in inside)
        found[column("active_days", days)] = len({row.activity_date for row in inside})
    found[LAST] = max(
        (row.activity_date for row in seen if row.activity_date < as_of), default=None
    )
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Files, list[dict]]]:
    folder = tmp_path_factory.mktemp("bench")
    ledger = made_up_ledger(3)
    columns = {
        "customer_id": pa.array([row.customer_id for row in ledger]),
        "activity_date": pa.array([row.activity_date for row in ledger]),
        "known_date": pa.array([row.known_date for row in ledger]),
    }
    for place, name in enumerate(MEASURES):
        values = pa.array([row.measures[place] for row in ledger], pa.int64())
        columns[name] = _hundredths(values) if name == "minutes" else values
    pq.write_table(pa.table(columns), folder / "activity.parquet")
    # c9 has no activity at all, and at the first date nobody has.
    keys = [
        (customer, START + timedelta(days=day))
        for day in (0, 1, 31, 59, 90, 91, 120, 200, 400)
        for customer in ("c9", "c0", "c1", "c2", "c3", "c4", "c5")
    ]
    observations = pa.table(
        {
            "customer_id": [customer for customer, _ in keys],
            "as_of_date": [as_of for _, as_of in keys],
            "observation_days": pa.array([30] * len(keys), pa.int32()),
        }
    )
    pq.write_table(observations, folder / "observations.parquet")
    files = Files(
        folder / "activity.parquet", folder / "observations.parquet", folder / "out", folder
    )
    yield files, [by_the_letter(ledger, *key) for key in keys]


def _hundredths(values: pa.Array) -> pa.Array:
    words = np.zeros((len(values), 2), np.int64)
    words[:, 0] = values
    return pa.Array.from_buffers(
        pa.decimal128(18, 2), len(values), [None, pa.py_buffer(words.tobytes())]
    )


@pytest.mark.parametrize("name", ["limit", "pandas", "duckdb_asof"])
def test_implementations_do_what_the_definition_says(
    small: tuple[Files, list[dict]], name: str, tmp_path: Path
) -> None:
    files, expected = small
    out = tmp_path / "out.parquet"
    arguments = [sys.executable, str(ROOT / "bench" / "peers" / name / "run.py")]
    arguments += ["--activity", files.activity, "--observations", files.observations]
    arguments += ["--out", out, "--scratch", tmp_path]
    subprocess.run(
        arguments, check=True, env={"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    )
    rows = pq.read_table(out, columns=list(COLUMNS)).to_pylist()
    for row in rows:
        for days in WINDOWS:
            row[column("minutes", days)] = round(100 * row[column("minutes", days)])
    key = lambda row: (row["customer_id"], str(row["as_of_date"])[:10])  # noqa: E731
    for found, wanted in zip(sorted(rows, key=key), sorted(expected, key=key), strict=True):
        found["as_of_date"] = _as_date(found["as_of_date"])
        found[LAST] = _as_date(found[LAST])
        assert found == wanted


def _as_date(value: object) -> object:
    return value.date() if hasattr(value, "date") else value


def test_usage_is_that_of_the_child(tmp_path: Path) -> None:
    # A parent that holds much, which must not be counted.
    much = bytearray(400_000_000)
    script = "held = bytearray(200_000_000); sum(range(3_000_000))"
    usage = measure(
        [sys.executable, "-c", script], environment={}, log=tmp_path / "log", cwd=tmp_path
    )
    assert much
    assert usage.cpu > 0
    assert 200 < usage.peak_mb < 300


def test_a_failing_process_says_why(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no such peer"):
        measure(
            [sys.executable, "-c", "raise SystemExit('no such peer')"],
            environment={},
            log=tmp_path / "log",
            cwd=tmp_path,
        )


def test_ratios_are_taken_within_rounds() -> None:
    rounds = [
        {"ours": Usage(1, 2, 10), "theirs": Usage(3, 2, 40)},
        # The machine was twice as slow for both.
        {"ours": Usage(2, 4, 10), "theirs": Usage(8, 4, 40)},
        # Theirs did not run.
        {"ours": Usage(100, 1, 1)},
    ]
    assert ratios(rounds, "theirs", "ours", "wall") == Spread(3.5, 3, 4)
    assert ratios(rounds, "theirs", "ours", "wall", scale=10) == Spread(35, 30, 40)


def test_slope() -> None:
    assert slope([1, 4], [3, 12]) == pytest.approx(1)
    assert slope([1, 2, 4], [1, 100, 16]) == pytest.approx(2)
    with pytest.raises(ValueError):
        slope([1], [1])


def test_agreement_counts_cells(small: tuple[Files, list[dict]], tmp_path: Path) -> None:
    _, expected = small
    features = len(COLUMNS) - 2
    as_float = [dict(row) for row in expected]
    for row in as_float:
        for days in WINDOWS:
            row[column("minutes", days)] += 1e-9
    same = _written(expected, tmp_path / "same.parquet")
    assert compare(_written(as_float, tmp_path / "float.parquet"), same) == Agreement(
        len(expected) * features, 0
    )
    other = [dict(row) for row in expected]
    other[0]["logins_7d"] += 1
    other[1][LAST] = date(1999, 1, 1)
    assert compare(_written(other, tmp_path / "other.parquet"), same).different == 2
    # A row too few, a row twice: all its cells.
    assert compare(_written(expected[1:], tmp_path / "few.parquet"), same).different > 0
    twice = compare(_written([*expected, expected[0]], tmp_path / "twice.parquet"), same)
    assert twice.different == features


def _written(rows: list[dict], path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_model_time_leaves_tests_out() -> None:
    results = [
        {"unique_id": "model.holdfast.silver_clock", "execution_time": 1.5},
        {"unique_id": "model.holdfast.gold_observations", "execution_time": 2.5},
        {"unique_id": "test.holdfast.unique_key", "execution_time": 40.0},
        {"unique_id": "seed.holdfast.cohorts", "execution_time": 40.0},
    ]
    assert model_time({"results": results}) == {"gold_observations": 2.5, "silver_clock": 1.5}


@pytest.mark.parametrize("contender", ALL, ids=lambda one: one.name)
def test_contenders_are_complete(contender: object) -> None:
    assert contender.script.is_file()
    if contender.requirements.is_file():
        for line in contender.requirements.read_text().splitlines():
            name, _, number = line.partition("==")
            assert name and number


def test_a_mark_that_was_missed_says_what_would_reach_it() -> None:
    def taken(name: str, wall: float, rows: int) -> dict:
        return {"name": name, "title": name, "wall": {"median": wall}, "observations": rows}

    result = {
        "contenders": [
            taken("holdfast", 12, 100),
            taken("limit", 10, 100),
            taken("near", 25, 100),
            # A tenth of the rows: 60 times the limit for a row.
            taken("sampled", 60, 10),
            taken("met", 90, 100),
        ],
        "ratios": [
            {"name": "near", "base": "holdfast", "mark": 5, "is_met": False},
            {"name": "sampled", "base": "holdfast", "mark": 50, "is_met": False},
            {"name": "met", "base": "holdfast", "mark": 5, "is_met": True},
            {"name": "limit", "base": "holdfast", "mark": None, "is_met": None},
        ],
    }
    near, sampled = out_of_reach(result)
    assert near.startswith("- near: it takes 2.50 times the limit's time. To be 5 times as fast")
    assert near.endswith("Holdfast would have to take 0.50 times the limit's; it takes 1.20.")
    assert sampled.startswith("- sampled: it takes 60.00 times the limit's time.")


def test_shares_of_a_profile_add_up() -> None:
    scan = {"type": "SCAN", "timing": 3.0, "intermediate_rows": 7, "children": []}
    group = {
        "type": "HASH_GROUP_BY",
        "timing": 1.0,
        "intermediate_rows": 2,
        "extra_info": {"Groups": "#0"},
        "children": [scan],
    }
    found = list(shares({"operator": [group]}))
    assert [one["share"] for one in found] == [0.25, 0.75]
    assert [one["on"] for one in found] == ["#0", ""]
