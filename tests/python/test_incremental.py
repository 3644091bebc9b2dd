"""Builds in steps end where one build ends, and rebuild only what new rows touch."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reference
from conftest import settings_in
from reference import Rules
from test_reference import NO_LIMIT, build_gold, hostile, run_gold

from ml.dbt import run_dbt
from ml.settings import Settings
from ml.simulate import simulate

ENTITIES = tuple(NO_LIMIT)
Slices = Mapping[pd.Timestamp, str]


def split_into_folders(flat: Path, raw: Path) -> None:
    """Lay each entity out as a folder with one part, so that later parts can come."""
    for entity in ENTITIES:
        (raw / entity).mkdir(parents=True)
        pq.write_table(pq.read_table(flat / f"{entity}.parquet"), raw / entity / "part1.parquet")


def raw_files(raw: Path, whole: Path) -> None:
    """Write all parts of every entity as one file, for a single build."""
    whole.mkdir(parents=True)
    for entity in ENTITIES:
        parts = [pq.read_table(part) for part in sorted((raw / entity).glob("*.parquet"))]
        pq.write_table(pa.concat_tables(parts), whole / f"{entity}.parquet")


def tables(connection: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    """Names of the tables of a schema."""
    rows = connection.execute(
        "select table_name from information_schema.tables "
        "where table_schema = ? and table_catalog = current_database() "
        "and table_type = 'BASE TABLE' order by table_name",
        [schema],
    ).fetchall()
    return [name for (name,) in rows]


def differences(one: Path, other: Path) -> dict[str, int]:
    """Rows of bronze, silver and gold that are in one warehouse only, by table."""
    found: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        for schema in ("bronze", "silver", "gold"):
            connection.execute("use one")
            names = tables(connection, schema)
            assert names
            connection.execute("use other")
            assert tables(connection, schema) == names
            for name in names:
                both = f"one.{schema}.{name}", f"other.{schema}.{name}"
                query = (
                    "select count(*) from ((from {0} except all from {1}) "
                    "union all (from {1} except all from {0}))"
                )
                (number,) = connection.execute(query.format(*both)).fetchone() or (0,)
                if number:
                    found[f"{schema}.{name}"] = number
            connection.execute("use memory")
    return found


def memory(warehouse: Path, relation: str) -> Slices:
    """What each as-of date of a gold relation was built from."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            f"select distinct as_of_date, built_from from {relation}"
        ).fetchall()
    slices = {pd.Timestamp(date): built_from for date, built_from in rows}
    assert len(slices) == len(rows), f"{relation} holds a slice that was built twice"
    return slices


def gold(warehouse: Path, name: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cells of a gold relation."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return reference.read_gold(connection, f"gold.{name}")


def rebuilt(notes: Iterable[str]) -> dict[str, int]:
    """How many slices each relation says it built."""
    found = (re.match(r"(\S+): (\d+) slices", note) for note in notes)
    return {match.group(1): int(match.group(2)) for match in found if match}


def touched(before: Slices, after: Slices) -> set[pd.Timestamp]:
    """Slices that are new or built from something else."""
    return {date for date, built_from in after.items() if before.get(date) != built_from}


class Story:
    """One warehouse, built again and again; what each step left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "steps"
        self.raw = self.folder / "local" / "raw"
        self.warehouse = self.folder / "local" / "warehouse.duckdb"
        self.notes: dict[str, tuple[str, ...]] = {}
        self.slices: dict[str, dict[str, Slices]] = {}
        self.cells: dict[str, dict[str, tuple[pd.DataFrame, dict[str, int]]]] = {}

    def build(self, step: str, known_until: str | None = None) -> None:
        """Build, and keep what gold holds."""
        rules = Rules(known_until=known_until)
        _, self.notes[step] = run_gold(self.folder, rules, reject_ratio_max=NO_LIMIT)
        names = ("observations", "customer_360", "churn_labels")
        self.slices[step] = {name: memory(self.warehouse, f"gold.{name}") for name in names}
        self.cells[step] = {name: gold(self.warehouse, name) for name in names}


EARLY, CUT = "2024-05-20 13:30:00", "2024-08-01"
BACK_DATED = pd.Timestamp("2024-03-15 12:00:00")


def back_dated(raw: Path) -> None:
    """Bring rows that claim to have been known long ago: facts, a correction, a conflict."""
    activity = pq.read_table(raw / "activity" / "part1.parquet").to_pandas()
    old = activity[activity["known_at"] < BACK_DATED - pd.Timedelta(days=1)].dropna(
        subset=["activity_id", "customer_id"]
    )
    old = old[old["occurred_at"] <= old["known_at"]]
    new = old.tail(40).assign(known_at=BACK_DATED)
    new["activity_id"] = "back" + new["activity_id"]
    # A fact that we knew later, and that now says to have been known earlier, with another value.
    later = activity[
        (activity["known_at"] > BACK_DATED + pd.Timedelta(days=1))
        & (activity["occurred_at"] < BACK_DATED)
    ].dropna(subset=["activity_id", "customer_id"])
    earlier = later.head(5).assign(known_at=BACK_DATED, quantity=50)
    _write_part(raw, "activity", "part2", pd.concat([new, earlier]))
    customers = pq.read_table(raw / "customers" / "part1.parquet").to_pandas()
    known = customers[customers["known_at"] < BACK_DATED].dropna(subset=["customer_id"]).head(10)
    known = known.assign(known_at=BACK_DATED, industry="corrected")
    _write_part(raw, "customers", "part2", known)


def one_more_day(raw: Path, newest: pd.Timestamp) -> None:
    """Bring what became known on the next day: facts of that day, one of six weeks ago."""
    day = newest.floor("D") + pd.Timedelta(days=1)
    activity = pq.read_table(raw / "activity" / "part1.parquet").to_pandas()
    rows = activity.dropna(subset=["activity_id", "customer_id"]).tail(20)
    happened = [day - pd.Timedelta(days=42), *([day + pd.Timedelta(hours=9)] * 19)]
    rows = rows.assign(occurred_at=happened, known_at=day + pd.Timedelta(hours=10), quantity=2)
    rows["activity_id"] = "next" + rows["activity_id"]
    _write_part(raw, "activity", "part3", rows)


def _write_part(raw: Path, entity: str, part: str, rows: pd.DataFrame) -> None:
    schema = pq.read_schema(raw / entity / "part1.parquet")
    table = pa.Table.from_pandas(rows, schema, preserve_index=False)
    assert table.num_rows
    pq.write_table(table, raw / entity / f"{part}.parquet")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The demo company, built at five moments, with rows that come out of order in between."""
    folder = tmp_path_factory.mktemp("incremental")
    simulate(customers=300, months=10, seed=3, out=folder / "flat")
    told = Story(folder)
    split_into_folders(folder / "flat", told.raw)
    told.build("early", EARLY)
    back_dated(told.raw)
    told.build("back-dated", CUT)
    told.build("all")
    told.build("nothing new")
    with duckdb.connect(str(told.warehouse), read_only=True) as connection:
        ((newest,),) = connection.execute("select data_until from silver.clock").fetchall()
    one_more_day(told.raw, pd.Timestamp(newest))
    told.build("one more day")
    yield told


def test_steps_end_where_one_build_ends(story: Story, tmp_path: Path) -> None:
    raw = tmp_path / "local" / "raw"
    raw_files(story.raw, raw)
    once = build_gold(tmp_path, Rules(), reject_ratio_max=NO_LIMIT)
    assert differences(story.warehouse, once.warehouse_path) == {}
    # The comparison can fail: fifty touches less are seen at once.
    touches = pq.read_table(raw / "touches.parquet")
    pq.write_table(touches.slice(50), raw / "touches.parquet")
    build_gold(tmp_path, Rules(), reject_ratio_max=NO_LIMIT)
    found = differences(story.warehouse, once.warehouse_path)
    assert {"silver.touches_versions", "gold.fingerprints"} <= set(found)


@pytest.mark.parametrize("name", ["observations", "customer_360"])
def test_what_is_known_later_changes_no_past_cell(story: Story, name: str) -> None:
    before, scales = story.cells["back-dated"][name]
    after, _ = story.cells["all"][name]
    until = pd.Timestamp(CUT).value // 1000
    assert before["as_of_date"].max() == until
    comparison = reference.compare(before, after[after["as_of_date"] <= until], scales, scales)
    assert comparison.is_equal, comparison.report
    assert comparison.cells > 1000


def test_what_is_known_later_changes_no_known_label(story: Story) -> None:
    before, scales = story.cells["back-dated"]["churn_labels"]
    after, _ = story.cells["all"]["churn_labels"]
    keys = before.loc[before["is_label_available"], ["as_of_date", "customer_id"]]
    assert len(keys) > 100
    comparison = reference.compare(before.merge(keys), after.merge(keys), scales, scales)
    assert comparison.is_equal, comparison.report


def test_back_dated_rows_rebuild_the_dates_they_touch(story: Story) -> None:
    for name in ("observations", "customer_360"):
        before, after = story.slices["early"][name], story.slices["back-dated"][name]
        assert min(before) < BACK_DATED
        assert touched(before, after) == {date for date in after if date > BACK_DATED}
    assert rebuilt(story.notes["back-dated"])["gold.customer_360"] == len(
        [date for date in story.slices["back-dated"]["customer_360"] if date > BACK_DATED]
    )


def test_nothing_new_rebuilds_nothing(story: Story) -> None:
    assert rebuilt(story.notes["all"])
    assert rebuilt(story.notes["nothing new"]) == {}
    assert story.slices["nothing new"] == story.slices["all"]


def test_one_more_day_builds_one_more_date(story: Story) -> None:
    before, after = story.slices["nothing new"], story.slices["one more day"]
    newest = max(after["customer_360"])
    assert newest == max(before["customer_360"]) + pd.Timedelta(days=1)
    for name in ("observations", "customer_360"):
        assert touched(before[name], after[name]) == {newest}
    counts = rebuilt(story.notes["one more day"])
    assert counts["gold.customer_360"] == 1
    assert counts["silver.daily_activity"] == 1
    # A label is built again only when it becomes known, on the day after D + horizon + grace.
    known = {newest - pd.Timedelta(days=horizon + 30) for horizon in (30, 90)}
    assert touched(before["churn_labels"], after["churn_labels"]) <= {newest, *known}


def test_parts_in_any_order_end_where_one_build_ends(tmp_path: Path) -> None:
    hostile(tmp_path / "flat", seed=8, customers=60, grace_days=30)
    told = Story(tmp_path)
    chance = random.Random(8)
    steps = (("1", "2024-09-15 12:00:00"), ("2", "2024-12-01"), ("3", None))
    for entity in ENTITIES:
        table = pq.read_table(tmp_path / "flat" / f"{entity}.parquet")
        table = table.append_column("part", pa.array(chance.choices("123", k=table.num_rows)))
        pq.write_table(table, tmp_path / "flat" / f"{entity}.parquet")
    for part, known_until in steps:
        for entity in ENTITIES:
            (told.raw / entity).mkdir(parents=True, exist_ok=True)
            rows = pq.read_table(
                tmp_path / "flat" / f"{entity}.parquet", filters=[("part", "=", part)]
            )
            pq.write_table(rows.drop_columns("part"), told.raw / entity / f"part{part}.parquet")
        told.build(part, known_until)
    raw_files(told.raw, tmp_path / "once" / "local" / "raw")
    once = build_gold(tmp_path / "once", Rules(), reject_ratio_max=NO_LIMIT)
    assert differences(told.warehouse, once.warehouse_path) == {}


# ---- rows that vanish, come back and change, on a few days ---------------------------------------


def build_layers(folder: Path, *layers: str, **more: object) -> tuple[Settings, dict[str, int]]:
    """Build seeds and the models of these layers; return also the slices that each model built."""
    settings = settings_in(folder, reject_ratio_max=NO_LIMIT, **more)
    select = ["path:seeds", *(f"path:models/{layer}" for layer in layers)]
    kinds = ["--resource-type", "seed", "--resource-type", "model"]
    result = run_dbt(settings, ["build", "--select", *select, *kinds])
    return settings, rebuilt(result.notes)


def days_of_repeats(flat: Path, chance: random.Random, count: int) -> list[pd.Timestamp]:
    """Pick known days with a row whose key came on another day too."""
    activity = pq.read_table(flat / "activity.parquet").to_pandas()
    days = activity["known_at"].dt.floor("D")
    spread = days.groupby(activity["activity_id"]).transform("nunique") > 1
    return chance.sample(sorted(days[spread].dropna().unique()), count)


def lay_out(flat: Path, raw: Path, keep: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Write one file an entity, of the rows that `keep` lets through."""
    raw.mkdir(parents=True, exist_ok=True)
    for entity in ENTITIES:
        table = pq.read_table(flat / f"{entity}.parquet")
        # Arrow's own types, so that decimals and nulls come back as they were
        kept = keep(table.to_pandas(types_mapper=pd.ArrowDtype))
        rows = pa.Table.from_pandas(kept, table.schema, preserve_index=False)
        pq.write_table(rows, raw / f"{entity}.parquet")


def test_rows_that_vanish_and_change_end_where_one_build_ends(tmp_path: Path) -> None:
    layers = ("bronze", "silver", "gold")
    flat = tmp_path / "flat"
    hostile(flat, seed=9, customers=25, grace_days=30)
    days = days_of_repeats(flat, random.Random(9), 10)

    def without_days(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[~rows["known_at"].dt.floor("D").isin(days)]

    def changed_days(rows: pd.DataFrame) -> pd.DataFrame:
        """Half of the days' rows come back, every other one of them changed."""
        found = rows[rows["known_at"].dt.floor("D").isin(days)].iloc[::2].copy()
        for column, value in (("quantity", 8), ("country", "PT"), ("priority", "low")):
            if column in found:
                found.iloc[::2, found.columns.get_loc(column)] = value
        return pd.concat([without_days(rows), found])

    steps = tmp_path / "steps"
    raw = steps / "local" / "raw"
    lay_out(flat, raw, lambda rows: rows)
    build_layers(steps, *layers)
    lay_out(flat, raw, without_days)
    # A build that ended after bronze: what it left is taken up by the next.
    _, half = build_layers(steps, "bronze")
    stepped, counts = build_layers(steps, *layers)
    # Days that are gone are no slices to build; other days are, where a repeat is now the first.
    assert half["bronze.repeats"] == 0
    assert 0 < half["bronze.activity"] == counts["silver.daily_activity"]
    assert "bronze.repeats" not in counts
    lay_out(flat, tmp_path / "once" / "local" / "raw", without_days)
    once, _ = build_layers(tmp_path / "once", *layers)
    assert differences(stepped.warehouse_path, once.warehouse_path) == {}

    more = {"login_actions": ["login", "sso"]}
    lay_out(flat, raw, changed_days)
    stepped, counts = build_layers(steps, *layers, **more)
    lay_out(flat, tmp_path / "again" / "local" / "raw", changed_days)
    again, _ = build_layers(tmp_path / "again", *layers, **more)
    assert differences(stepped.warehouse_path, again.warehouse_path) == {}
