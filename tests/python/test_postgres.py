"""PostgreSQL beside DuckDB: the same rows in, the same silver, gold, models and errors out."""

import datetime as dt
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Demo, quiet, settings_in
from postgres_server import server
from pyarrow import csv

from ml import dbt
from ml.audit.parity import relation_fingerprints
from ml.audit.rows import entity_contracts, sample_rows, soiled
from ml.contract import read_manifest
from ml.errors import ContractError, HoldfastError
from ml.load import load
from ml.settings import Settings, load_settings
from ml.simulate import simulate
from ml.warehouse import Warehouse, open_warehouse

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
BUILT = ["build", "--resource-type", "model", "--resource-type", "seed"]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with server() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        yield found


def on_server(settings: Settings, database: str, folder: Path) -> Settings:
    """Return the same project on a new database, which sorts texts as people do, not by code."""
    postgres = replace(
        load_settings(settings.project_dir, target="postgres"),
        local_dir=folder / "local",
        raw_dir=settings.raw_dir,
        target_dir=folder / "target",
        vars={"raw_path": str(settings.raw_dir)},
        database="postgres",
    )
    (folder / "local").mkdir(parents=True)
    with open_warehouse(postgres) as warehouse:
        warehouse.execute(
            f"create database {database} template template0 locale_provider icu icu_locale 'en-US'"
        )
    return replace(postgres, database=database)


def databases(settings: Settings) -> set[str]:
    with open_warehouse(settings) as warehouse:
        found = warehouse.query("select datname from pg_database")
    return set(found["datname"].to_pylist())


def build(settings: Settings) -> None:
    if settings.target == "postgres":
        load(settings)
    dbt.run_dbt(settings, BUILT)


# ---- the warehouse as Python sees it -------------------------------------------------------------


SLICE = {"day": dt.date(2024, 1, 1), "model": None}


@pytest.fixture
def warehouse(
    environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Warehouse]:
    settings = replace(load_settings(ROOT, target="postgres"), database="postgres")
    with open_warehouse(settings) as warehouse:
        warehouse.execute("create schema ml")
        warehouse.execute(
            "create table ml.scores (day date, model text, id text, score numeric(18, 6), "
            "seen timestamp, share double precision, is_new boolean)"
        )
        yield warehouse
        warehouse.execute("drop schema ml cascade")


def rows(*ids: str | None) -> pa.Table:
    # Not in the table's order: rows go in by name.
    count = len(ids)
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "score": pa.array([Decimal("0.500000")] * count, pa.decimal128(18, 6)),
            "day": pa.array([SLICE["day"]] * count, pa.date32()),
            "model": pa.array([None] * count, pa.string()),
            "seen": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, 678901)] * count),
            "share": pa.array([0.1 + 0.2] * count, pa.float64()),
            "is_new": pa.array([True] * count, pa.bool_()),
        }
    )


def ids(warehouse: Warehouse) -> list[str | None]:
    return warehouse.query("select id from ml.scores order by id")["id"].to_pylist()


def test_values_come_back_as_they_went(warehouse: Warehouse) -> None:
    awkward = rows(None, "", "a\nb", 'said "x", twice', "\\N", "\\.", "é\t'")
    warehouse.append("ml.scores", awkward)
    names = awkward.schema.names
    found = warehouse.query(f"select {', '.join(names)} from ml.scores")
    assert found.schema.equals(awkward.schema)
    assert found.equals(awkward)


def test_a_column_of_nothing_but_nulls_has_its_rows(warehouse: Warehouse) -> None:
    warehouse.append("ml.scores", rows("a", "b"))
    assert warehouse.query("select model from ml.scores")["model"].to_pylist() == [None, None]


def test_the_same_slice_twice_is_as_once(warehouse: Warehouse) -> None:
    for _ in range(2):
        assert warehouse.replace_slice("ml.scores", rows("a", "b"), where=SLICE) == 2
    assert ids(warehouse) == ["a", "b"]


def test_a_generator_that_raises_leaves_the_old_slice(warehouse: Warehouse) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows("new").to_batches()
        raise RuntimeError("lost")

    warehouse.append("ml.scores", rows("old"))
    with pytest.raises(RuntimeError, match="lost"):
        warehouse.replace_slice("ml.scores", batches(), where=SLICE)
    assert ids(warehouse) == ["old"]


def test_batches_may_be_made_from_the_warehouse_itself(warehouse: Warehouse) -> None:
    warehouse.append("ml.scores", rows("a", "b", "c"))
    streamed = warehouse.stream(
        "select * from ml.scores where day = $day", {"day": SLICE["day"]}, batch_rows=2
    )
    sizes: list[int] = []

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in streamed:
            sizes.append(batch.num_rows)
            yield batch

    assert warehouse.replace_slice("ml.scores", counted(), where=SLICE) == 3
    assert sizes == [2, 1]
    assert ids(warehouse) == ["a", "b", "c"]


def test_values_go_in_as_values(warehouse: Warehouse) -> None:
    found = warehouse.query(
        "select ? as a, '100 %?' as b, $2 as c", ["it's 100 %", dt.date(2024, 2, 29)]
    )
    assert found.to_pylist() == [{"a": "it's 100 %", "b": "100 %?", "c": dt.date(2024, 2, 29)}]


def test_a_sum_is_as_exact_as_its_parts(warehouse: Warehouse) -> None:
    found = warehouse.query(
        "select sum(x) as whole, sum(x / 4.00) as parts from generate_series(1, 9) as x"
    )
    assert found.to_pylist() == [{"whole": 45, "parts": Decimal("11.25")}]


def test_a_stream_wants_decimals_with_a_scale(warehouse: Warehouse) -> None:
    with pytest.raises(HoldfastError, match="parts has none"):
        list(warehouse.stream("select sum(x / 4.00) as parts from generate_series(1, 9) as x"))


def test_rows_with_other_columns_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ContractError, match="Unknown: extra; missing: score"):
        warehouse.append("ml.scores", rows("a").rename_columns(["id", "extra", *names_after()]))
    assert ids(warehouse) == []


def names_after() -> list[str]:
    return rows("a").schema.names[2:]


def test_a_relation_that_is_not_there_says_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(ContractError, match="no relation ml.nothing. Build it first"):
        warehouse.columns("ml.nothing")


def test_nothing_is_written_where_it_is_opened_for_reading(warehouse: Warehouse) -> None:
    settings = replace(load_settings(ROOT, target="postgres"), database="postgres")
    with (
        open_warehouse(settings, read_only=True) as reader,
        pytest.raises(HoldfastError, match="read-only transaction"),
    ):
        reader.append("ml.scores", rows("a"))
    assert ids(warehouse) == []


def test_a_server_that_is_not_there_says_what_to_do(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDFAST_PG_HOST", str(tmp_path))
    with pytest.raises(HoldfastError, match="Start the server, or mend the target"):
        open_warehouse(load_settings(ROOT, target="postgres"))


def test_the_server_ends_where_the_tests_are_killed(environment: dict[str, str]) -> None:
    program = (
        "import time, postgres_server as tests\n"
        "with tests.server() as found:\n"
        "    print(found['HOLDFAST_PG_HOST'], flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program]
    folder = Path(__file__).parent
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        home = Path(tests.stdout.readline().strip())
        assert (home / "data" / "postmaster.pid").exists()
        tests.kill()
    deadline = time.monotonic() + 60
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not home.exists()


# ---- the same silver and gold --------------------------------------------------------------------


@pytest.fixture(scope="module")
def companies(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Settings]:
    """A demo company on both engines, built from Parquet files."""
    folder = tmp_path_factory.mktemp("companies")
    on_duckdb = settings_in(folder)
    simulate(customers=300, months=12, seed=11, out=on_duckdb.raw_dir)
    both = on_duckdb, on_server(on_duckdb, "parity", folder / "server")
    for settings in both:
        build(settings)
    return both


def test_one_build_gives_the_same_everywhere(companies: tuple[Settings, Settings]) -> None:
    on_duckdb, on_postgres = companies
    found = relation_fingerprints(on_duckdb)
    assert len(found) > 30
    assert found["gold.customer_360"].split()[0] != "0"
    assert relation_fingerprints(on_postgres) == found


def test_a_second_delivery_gives_the_same_everywhere(companies: tuple[Settings, Settings]) -> None:
    """The rows come again as CSV, with repeats, corrections, conflicts, late and broken ones."""
    on_duckdb, on_postgres = companies
    before = relation_fingerprints(on_duckdb)
    contracts = entity_contracts(read_manifest(on_duckdb.manifest_path))
    dirty = soiled(sample_rows(on_duckdb, contracts, customers=None, seed=1), contracts, 1)
    shutil.rmtree(on_duckdb.raw_dir)
    on_duckdb.raw_dir.mkdir()
    for entity, table in dirty.items():
        csv.write_csv(table, on_duckdb.raw_dir / f"{entity}.csv")
    for settings in companies:
        build(settings)
    after = relation_fingerprints(on_duckdb)
    assert after["gold.customer_360"] != before["gold.customer_360"]
    assert relation_fingerprints(on_postgres) == after
    with open_warehouse(on_postgres, read_only=True) as warehouse:
        rejected = warehouse.query("select count(*) as rows from bronze.rejects")["rows"][0].as_py()
    assert rejected > 0


def test_one_changed_cell_is_seen(companies: tuple[Settings, Settings]) -> None:
    _, on_postgres = companies
    before = relation_fingerprints(on_postgres)
    with open_warehouse(on_postgres) as warehouse:
        warehouse.execute(
            "create table public.kept as select * from gold.features_engagement "
            "order by as_of_date, customer_id limit 1"
        )
        changed = (
            "update gold.features_engagement as cells set logins_30d = cells.logins_30d {} 1 "
            "from public.kept where cells.customer_id = kept.customer_id "
            "and cells.as_of_date = kept.as_of_date"
        )
        warehouse.execute(changed.format("+"))
        after = relation_fingerprints(on_postgres)
        warehouse.execute(changed.format("-"))
        warehouse.execute("drop table public.kept")
    assert {name for name in before if before[name] != after[name]} == {"gold.features_engagement"}


def test_every_dbt_test_passes_on_the_server(companies: tuple[Settings, Settings]) -> None:
    """Unit tests, macro tests, generic and data tests."""
    _, on_postgres = companies
    # Of the dirt that was added more is rejected than a company may have.
    tested = dbt.run_dbt(on_postgres, ["test", "--exclude", "assert_rejects_within_threshold"])
    assert tested.nodes > 150


TIMES = [
    "2024-01-05", "2024-1-5", "2024/01/05", "2024 01 05", "2024-01-05T10:00:00Z",
    "2024-01-05 10:00", "2024-01-05 10:00:00+02", "2024-01-05 10:00:00-0330",
    "2024-01-05 10:00:00 UTC", "2024-01-05  10:00", "2024-01-05 1:02:03",
    "2024-01-05 10:00:00.5", "2024-01-05 10:00:00.1234567", "2024-01-05 10:00:00.9999999",
    "1999-12-31 23:59:59.999999", "2024-02-29", "2024-01-05 24:00:00", "2023-02-29",
    "2024-02-30", "2024-13-01", "2024-00-01", "2024-01-05 24:00:01", "2024-01", "now",
    "2024-01-05 23:59:60", "2024-01-05 10:60", "2024-01-05 10", " 2024-01-05 ", "05/01/2024",
    "20240105", "yesterday", "x", "",
]  # fmt: skip
NUMBERS = [
    "1", "1.5", "2.5", "-2.5", "0.5", "-0.5", "+5", " 1 ", "1.", ".5", "1e3", "1e-1", "1_000",
    "1.005", "-1.005", "2147483647", "2147483648", "2147483647.5", "-2147483648.4",
    "9999999999999999.99", "9999999999999999.995", "1e-100", "1e400", "99999999999", "1,000",
    "$5", "1e", "--1", "1.5.2", "nan", "inf", "1 2", "",
]  # fmt: skip
ANSWERS = [
    "t", "true", "TRUE", "T", "yes", "y", "1", "0", "no", "n", "f", "false", "on", "off",
    " true ", "2", "1.0", "",
]  # fmt: skip


@pytest.mark.parametrize(
    ("data_type", "texts"),
    [("timestamp", TIMES), ("decimal(18,2)", NUMBERS), ("integer", NUMBERS), ("boolean", ANSWERS)],
)
def test_texts_are_read_as_duckdb_reads_them(
    companies: tuple[Settings, Settings], data_type: str, texts: list[str]
) -> None:
    function, _, rest = data_type.partition("(")
    arguments = f", {rest[:-1]}" if rest else ""
    with open_warehouse(companies[1], read_only=True) as warehouse:
        found = [
            warehouse.query(f"select bronze.try_{function}($1{arguments}) as value", [text])[
                "value"
            ][0].as_py()
            for text in texts
        ]
    wanted = [
        duckdb.execute(f"select try_cast(? as {data_type})", [text]).fetchall()[0][0]
        for text in texts
    ]
    assert dict(zip(texts, found, strict=True)) == dict(zip(texts, wanted, strict=True))
    assert None in wanted and len(set(wanted)) > 2


# ---- loading raw files ---------------------------------------------------------------------------


_NUMBERS_OF_DATABASES = itertools.count()


@pytest.fixture
def raw(environment: dict[str, str], tmp_path: Path) -> tuple[Settings, Settings]:
    """Three customers on both engines, nothing built yet; the logs of both lie in one folder."""
    on_duckdb = settings_in(tmp_path)
    on_duckdb.raw_dir.mkdir(parents=True)
    write(
        on_duckdb.raw_dir / "customers.parquet",
        "select 'c' || i as customer_id, timestamp '2024-01-01' as signed_up_at, "
        "timestamp '2024-01-02' as known_at from range(3) as numbers(i)",
    )
    write(
        on_duckdb.raw_dir / "orders.parquet",
        "select 'o' || i as order_id, 'c' || i as customer_id, "
        "timestamp '2024-01-03' as ordered_at, cast(10 as decimal(18, 2)) as amount, "
        "timestamp '2024-01-04' as known_at from range(3) as numbers(i)",
    )
    database = f"raw_{next(_NUMBERS_OF_DATABASES)}"
    on_postgres = on_server(on_duckdb, database, tmp_path / "server")
    return on_duckdb, replace(on_postgres, local_dir=on_duckdb.local_dir)


def write(path: Path, query: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = duckdb.sql(query)
    if path.suffix == ".csv":
        rows.write_csv(str(path))
    else:
        rows.write_parquet(str(path))


def error_of(settings: Settings) -> str:
    with pytest.raises(HoldfastError) as caught:
        build(settings)
    return str(caught.value)


def test_only_files_that_changed_are_loaded_again(raw: tuple[Settings, Settings]) -> None:
    _, settings = raw
    assert {each.entity: each.rows for each in load(settings).entities} == {
        "customers": 3,
        "orders": 3,
    }
    assert not load(settings).is_new
    write(
        settings.raw_dir / "customers.parquet",
        "select 'd' as customer_id, timestamp '2024-01-01' as signed_up_at, "
        "timestamp '2024-01-02' as known_at",
    )
    assert {each.entity: (each.rows, each.is_new) for each in load(settings).entities} == {
        "customers": (1, True),
        "orders": (0, False),
    }
    (settings.raw_dir / "orders.parquet").unlink()
    assert load(settings).removed == ("orders",)
    with open_warehouse(settings, read_only=True) as warehouse:
        assert not warehouse.exists("raw.orders")
        found = warehouse.query("select customer_id from raw.customers")["customer_id"].to_pylist()
    assert found == ["d"]


def test_a_view_over_a_table_that_is_loaded_again_stays(raw: tuple[Settings, Settings]) -> None:
    _, settings = raw
    load(settings)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("create view public.mine as select order_id from raw.orders")
    write(
        settings.raw_dir / "orders.parquet",
        "select 'new' as order_id, 'c1' as customer_id, timestamp '2024-01-03' as ordered_at, "
        "cast(10 as decimal(18, 2)) as amount, timestamp '2024-01-04' as known_at",
    )
    load(settings)
    with open_warehouse(settings, read_only=True) as warehouse:
        found = warehouse.query("select order_id from public.mine")["order_id"].to_pylist()
    assert found == ["new"]


def test_a_load_that_fails_leaves_the_table_as_it_was(raw: tuple[Settings, Settings]) -> None:
    _, settings = raw
    load(settings)
    (settings.raw_dir / "orders.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(HoldfastError, match="orders.parquet' cannot be read"):
        load(settings)
    with open_warehouse(settings, read_only=True) as warehouse:
        assert warehouse.query("select count(*) as rows from raw.orders")["rows"][0].as_py() == 3


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        (
            "orders.parquet",
            "select 'o' as order_id, 'c' as customer_id, 5 as ordered_at, 1 as amount, "
            "timestamp '2024-01-04' as known_at",
            "the column 'ordered_at' is integer, and the contract of 'orders' wants timestamp",
        ),
        (
            "orders.parquet",
            "select 'o' as order_id, 'c' as customer_id, timestamp '2024-01-03' as ordered_at, "
            "true as amount, timestamp '2024-01-04' as known_at",
            "the column 'amount' is boolean, and the contract of 'orders' wants decimal(18,2)",
        ),
        (
            "orders.parquet",
            "select 'o' as order_id, 'c' as customer_id, timestamp '2024-01-03' as ordered_at, "
            "1.5::double as amount, timestamp '2024-01-04' as known_at, 1 as colour",
            "has the column 'colour', which the contract does not know",
        ),
        (
            "orders.parquet",
            "select 'o' as order_id, timestamp '2024-01-03' as ordered_at, 1 as amount, "
            "timestamp '2024-01-04' as known_at",
            "lacks the column 'customer_id', which the contract of 'orders' requires",
        ),
    ],
)
def test_bad_files_get_the_same_sentence_on_both(
    raw: tuple[Settings, Settings], name: str, query: str, words: str
) -> None:
    write(raw[0].raw_dir / name, query)
    on_duckdb, on_postgres = (error_of(settings) for settings in raw)
    assert words in on_duckdb
    assert on_postgres == on_duckdb


def test_missing_customers_get_the_same_sentence_on_both(raw: tuple[Settings, Settings]) -> None:
    (raw[0].raw_dir / "customers.parquet").unlink()
    on_duckdb, on_postgres = (error_of(settings) for settings in raw)
    assert on_duckdb.startswith("No customers: looked for customers.parquet")
    assert on_postgres == on_duckdb


def test_two_places_get_the_same_sentence_on_both(raw: tuple[Settings, Settings]) -> None:
    write(raw[0].raw_dir / "orders.csv", "select 1 as a")
    on_duckdb, on_postgres = (error_of(settings) for settings in raw)
    assert on_postgres.startswith("Expected one place with the raw rows of 'orders', found ")
    assert on_duckdb.startswith(on_postgres)


def test_duckdb_has_nothing_to_load(raw: tuple[Settings, Settings]) -> None:
    with pytest.raises(HoldfastError, match="reads raw files itself"):
        load(raw[0])


# ---- the whole job -------------------------------------------------------------------------------


Company = tuple[Settings, "RunResult"]  # noqa: F821 - importing it takes seconds


@pytest.fixture(scope="module")
def company(
    environment: dict[str, str], demo: Demo, tmp_path_factory: pytest.TempPathFactory
) -> Company:
    """The shared demo company on a server, from raw files to its worklist."""
    from ml.promotion.promote import promote
    from ml.run import run

    settings = on_server(demo.settings, "company", tmp_path_factory.mktemp("company"))
    first = run(settings, quiet())
    if not first.trained.is_champion:
        version = str(first.trained.model_version)
        promote(settings, version, is_forced=True, why="a champion to test with")
    return settings, run(settings, quiet())


def test_a_run_goes_from_raw_files_to_the_same_worklist(company: Company, demo: Demo) -> None:
    settings, result = company
    assert result.scored.predictions == demo.result.scored.predictions > 0
    published = "select * exclude (model_version) from retention_worklist order by priority"
    with (
        duckdb.connect(str(settings.marts_path), read_only=True) as on_server_,
        duckdb.connect(str(demo.settings.marts_path), read_only=True) as on_duckdb,
    ):
        found, wanted = (each.sql(published).fetchall() for each in (on_server_, on_duckdb))
    assert found == wanted
    assert len(found) > 10


def test_the_frozen_training_set_is_the_same_to_the_byte(company: Company, demo: Demo) -> None:
    query = "select training_set_id, sha256, row_count from ml.training_sets"
    found = []
    for settings in (company[0], demo.settings):
        with open_warehouse(settings, read_only=True) as warehouse:
            found.append(warehouse.query(query).to_pylist())
    assert found[0] == found[1] != []


def test_a_second_run_changes_nothing(company: Company) -> None:
    from ml.run import run

    settings, result = company
    again = run(settings, quiet())
    assert not again.trained.is_new
    assert not again.scored.is_new
    assert not again.published.is_new
    assert again.notes == ()


# ---- the audits ----------------------------------------------------------------------------------


def test_a_replay_on_the_server_is_green_and_leaves_no_database(company: Company) -> None:
    from ml.audit.replay import replay

    settings, _ = company
    before = databases(settings)
    result = replay(settings, sample=1)
    assert result.is_green
    assert result.cells > 10_000
    assert databases(settings) == before


def test_a_replay_on_the_server_sees_a_changed_cell(company: Company) -> None:
    from ml.audit.replay import replay

    settings, _ = company
    changed = (
        "update gold.customer_360 set tenure_days = tenure_days {} 1 "
        "where as_of_date = (select max(as_of_date) from gold.customer_360)"
    )
    with open_warehouse(settings) as warehouse:
        warehouse.execute(changed.format("+"))
    try:
        result = replay(settings, sample=1)
    finally:
        with open_warehouse(settings) as warehouse:
            warehouse.execute(changed.format("-"))
    assert not result.is_green
    compared = [one for each in result.dates for one in each.comparisons]
    assert {cell.column for one in compared for cell in one.examples} == {"tenure_days"}


def test_schedules_of_arrival_end_alike_on_the_server(company: Company) -> None:
    from ml.audit.arrivals import arrivals

    settings, _ = company
    before = databases(settings)
    result = arrivals(settings, schedules=1, customers=6)
    assert result.is_green
    assert result.builds > 1
    assert databases(settings) == before


def test_ways_to_build_give_one_fingerprint_on_the_server(company: Company) -> None:
    from ml.audit.fingerprint import CONFIGURATIONS, fingerprint

    settings, _ = company
    before = databases(settings)
    spilling = next(each for each in CONFIGURATIONS if each.is_short_of_memory)
    result = fingerprint(settings, customers=40, configurations=[CONFIGURATIONS[0], spilling])
    assert result.is_green
    assert result.tables > 25
    assert result.configurations[1].spilled_bytes > 0
    assert databases(settings) == before
