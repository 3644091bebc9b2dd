"""PostgreSQL beside DuckDB: the same rows in, the same silver, gold, models and errors out."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import settings_in
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
    tested = dbt.run_dbt(
        on_postgres, ["test", "--exclude", *dbt.AFTER_SCORING, "assert_rejects_within_threshold"]
    )
    assert tested.nodes > 150


TIMES = [
    "2024-01-05", "2024-1-5", "2024/01/05", "2024 01 05", "2024-01-05T10:00:00Z", "2024-01-05 10:00",
    "2024-01-05 10:00:00+02", "2024-01-05 10:00:00-0330", "2024-01-05 10:00:00 UTC",
    "2024-01-05  10:00", "2024-01-05 1:02:03", "2024-01-05 10:00:00.5", "2024-01-05 10:00:00.1234567",
    "2024-01-05 10:00:00.9999999", "1999-12-31 23:59:59.999999", "2024-02-29", "2024-01-05 24:00:00",
    "2023-02-29", "2024-02-30", "2024-13-01", "2024-00-01", "2024-01-05 24:00:01", "2024-01", "now",
    "2024-01-05 23:59:60", "2024-01-05 10:60", "2024-01-05 10", " 2024-01-05 ", "05/01/2024",
    "20240105", "yesterday", "x", "",
]  # fmt: skip
NUMBERS = [
    "1", "1.5", "2.5", "-2.5", "0.5", "-0.5", "+5", " 1 ", "1.", ".5", "1e3", "1e-1", "1_000", "1.005",
    "-1.005", "2147483647", "2147483648", "2147483647.5", "-2147483648.4", "9999999999999999.99",
    "9999999999999999.995", "1e-100", "1e400", "99999999999", "1,000", "$5", "1e", "--1", "1.5.2",
    "nan", "inf", "1 2", "",
]  # fmt: skip
ANSWERS = [
    "t", "true", "TRUE", "T", "yes", "y", "1", "0", "no", "n", "f", "false", "on", "off", " true ",
    "2", "1.0", "",
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
