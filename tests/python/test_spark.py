"""Spark beside DuckDB: the same rows in, the same silver, gold, predictions and errors out."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import settings_in
from deliveries import deliver, in_parts

from ml import dbt
from ml.audit.parity import relation_fingerprints
from ml.errors import HoldfastError
from ml.settings import Settings, TrainSettings
from ml.simulate import simulate
from ml.warehouse import open_warehouse
from ml.warehouse.spark import SparkWarehouse

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("Spark needs Java", allow_module_level=True)

pytestmark = pytest.mark.spark

CUSTOMERS, MONTHS, SEED = 200, 10, 7
NO_LIMIT: dict[str, None] = {}
BUILT = ["build", "--resource-type", "model", "--resource-type", "seed"]
# A session of a few minutes ends before the second compiler has paid for itself: half the time.
# With one compiler Java keeps room for 48 MB of compiled code, which a whole suite fills, and ends.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=512m"


@dataclass(frozen=True)
class Company:
    """The same raw files in front of both engines."""

    raw: Path
    duckdb: Settings
    spark: Settings


def on_spark(settings: Settings, folder: Path) -> Settings:
    """The same project and raw files on Spark."""
    return replace(
        settings, target="spark", local_dir=folder / "local", target_dir=folder / "target"
    )


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for all tests, as small and quick as it gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_SPARK_JAVA_OPTIONS", JAVA)
        patch.setenv("HOLDFAST_SPARK_MEMORY", "2g")
        yield
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        active.stop()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("engines")
    raw = folder / "raw"
    simulate(customers=CUSTOMERS, months=MONTHS, seed=SEED, out=folder / "flat")
    in_parts(folder / "flat", raw)
    own = settings_in(folder / "duckdb", raw_path=str(raw), reject_ratio_max=NO_LIMIT)
    return Company(raw, own, on_spark(own, folder / "spark"))


# In this order: each goes on from what the one before has built.


def test_the_same_rows_give_the_same_silver_and_gold(company: Company) -> None:
    for settings in both(company):
        dbt.run_dbt(settings, BUILT)
    expected = relation_fingerprints(company.duckdb)
    assert len(expected) > 30
    assert relation_fingerprints(company.spark) == expected


def test_a_second_delivery_ends_where_duckdb_ends_and_touches_as_much(company: Company) -> None:
    deliver(company.raw)
    notes = {settings.target: dbt.run_dbt(settings, BUILT).notes for settings in both(company)}
    built = [note for note in notes["duckdb"] if "slices built" in note]
    assert any("gold.customer_360" in note for note in built)
    assert sorted(note for note in notes["spark"] if "slices built" in note) == sorted(built)
    assert relation_fingerprints(company.spark) == relation_fingerprints(company.duckdb)


def test_a_build_with_nothing_new_touches_nothing(company: Company) -> None:
    select = ["--select", "gold_observations", "silver_daily_activity", "bronze_activity"]
    result = dbt.run_dbt(company.spark, ["run", *select])
    assert not [note for note in result.notes if "slices built" in note]


def test_every_test_of_dbt_passes_on_spark(company: Company) -> None:
    assert dbt.run_dbt(company.spark, ["test"]).nodes > 150


def test_from_gold_to_the_published_worklist(company: Company) -> None:
    from ml.publish import publish
    from ml.score import score
    from ml.train import train

    options = replace(small_training(company), families=["logistic_regression"])
    settings = replace(company.spark, train=options)
    trained = train(settings)
    if not trained.is_champion:
        from ml.promotion.promote import promote

        version = str(trained.model_version)
        promote(settings, version, is_forced=True, why="a champion to test with")
    first = score(settings)
    assert first.is_new
    with open_warehouse(settings, read_only=True) as warehouse:
        written = warehouse.query(
            "select count(*) as rows, count(distinct rank) as ranks, max(rank) as last "
            "from ml.predictions"
        ).to_pylist()
    assert written == [{key: first.predictions for key in ("rows", "ranks", "last")}]
    assert not score(settings).is_new
    dbt.run_dbt(settings, ["run", "--select", "holdfast.marts"])
    published = publish(settings)
    assert published.rows["retention_worklist"] == first.predictions
    with duckdb.connect(str(published.path), read_only=True) as connection:
        (worst,) = connection.execute(
            "select count(*) from retention_worklist where churn_probability is null"
        ).fetchone() or (None,)
    assert worst == 0


def test_xgboost_learns_from_all_rows_on_the_executors(company: Company) -> None:
    pytest.importorskip("xgboost", reason="the extra `boosters` is not installed")
    import numpy as np

    from ml import fit
    from ml.frozen import sets
    from ml.frozen.freeze import freeze
    from ml.plan import plan_of
    from ml.registry import Registry
    from ml.thresholds import TierCosts
    from ml.train import train

    with open_warehouse(company.spark, read_only=True) as warehouse:
        (rows,) = warehouse.query("select count(*) as n from gold.training_set")["n"].to_pylist()
    options = replace(
        small_training(company),
        families=["xgboost"],
        calibration_share=0.5,
        xgboost={"n_estimators": 20, "max_depth": 3, "nthread": 1},
    )
    everybody = replace(company.spark, train=options)
    settings = replace(
        company.spark, train=replace(options, max_rows=rows * 8 // 10, all_rows=True)
    )
    trained = train(settings)

    # What the same trees learn from all rows in this process.
    frozen = freeze(everybody).frozen
    costs = {tier: TierCosts(1, 0.1, 1) for tier in ("smb", "mid", "enterprise")}
    plan = plan_of(everybody, sets.read_history(everybody, frozen), costs)
    frame = sets.read_frame(everybody, frozen)
    material = fit.Material(plan.contract.types, plan.data, frame)
    here = material.fitted(
        fit.build("xgboost", options, material.types, everybody.seed),
        plan.split.train,
        options.weighting,
    )
    expected = int(plan.split.train.sum())
    assert trained.record.train_rows < expected
    assert any(f"fitted on all {expected:,} rows" in note for note in trained.record.notes)
    assert any("of the customers" in note for note in trained.record.notes)

    store = Registry(settings.mlflow_uri, settings.artifact_root)
    version = store.version(trained.model_name, trained.model_version)
    there = store.load_model(version)
    scores = [fit.raw_score(each, frame) for each in (here, there.pipeline)]
    assert np.corrcoef(*scores)[0, 1] > 0.9


def test_a_replay_of_one_date_finds_every_cell_the_same(company: Company) -> None:
    from ml.audit.replay import replay

    with open_warehouse(company.spark, read_only=True) as warehouse:
        days = warehouse.query("select distinct as_of_date from gold.observations order by 1")
    result = replay(company.spark, as_of=[days["as_of_date"][2].as_py()])
    assert result.cells > 1000
    assert result.is_green, result.to_dict()
    with open_warehouse(company.spark, read_only=True) as warehouse:
        found = warehouse.query("select count(*) as n from ml.audit_findings")
    assert found["n"][0].as_py() >= 1


def test_a_scratch_project_begins_anew_with_its_seeds_alone(company: Company) -> None:
    from ml.audit.scratch import audit_folder
    from ml.audit.yard import Yard

    with audit_folder(company.spark, "yard") as folder:
        yard = Yard(company.spark, folder)
        with open_warehouse(yard.settings) as warehouse:
            seeds = warehouse.relations()
            warehouse.execute("create table bronze.built using parquet as select 1 as a")
            warehouse.execute("create view bronze.seen as select * from bronze.built")
        assert "bronze.value_tiers" in {str(each) for each in seeds}
        for megabytes, rows in ((40, "16"), (None, "2147483647")):
            yard.tune(threads=3, memory_megabytes=megabytes)
            yard.start_anew()
            with open_warehouse(yard.settings) as warehouse:
                assert warehouse.relations() == seeds
                assert isinstance(warehouse, SparkWarehouse)
                conf = warehouse.session.conf
                assert conf.get("spark.sql.windowExec.buffer.spill.threshold") == rows
                assert conf.get("spark.sql.shuffle.partitions") == "3"


@pytest.mark.parametrize("dialect", ["databricks", "spark"])
def test_what_was_compiled_parses_elsewhere(company: Company, dialect: str) -> None:
    sqlglot = pytest.importorskip("sqlglot", reason="the extra `engines` is not installed")
    compiled = sorted((company.spark.target_dir / "compiled").glob("**/*.sql"))
    assert len({path.stem for path in compiled}) > 55
    for path in compiled:
        assert sqlglot.parse(path.read_text(), dialect=dialect), path
    # A spelling that only DuckDB has is noticed.
    with pytest.raises(sqlglot.errors.ParseError):
        sqlglot.parse_one("select a // b from t", dialect=dialect)


def both(company: Company) -> tuple[Settings, Settings]:
    return company.duckdb, company.spark


def small_training(company: Company) -> TrainSettings:
    """Little to learn from, and little time to learn."""
    return replace(
        company.spark.train,
        min_train_rows=50,
        min_positives=2,
        test_dates=1,
        validation_dates=1,
        bootstrap_samples=20,
    )


# ---- the warehouse as Python sees it -------------------------------------------------------------


SLICE = {"day": dt.date(2024, 1, 1), "model": "m"}


def rows(*ids: str | None, day: dt.date = SLICE["day"]) -> pa.Table:
    # Not in the table's order: rows go in by name.
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "day": pa.array([day] * len(ids), pa.date32()),
            "seen": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, 678901)] * len(ids)),
            "share": pa.array([0.1 + 0.2] * len(ids), pa.float64()),
            "model": pa.array(["m"] * len(ids), pa.string()),
        }
    )


@pytest.mark.parametrize("partition", ["", " partitioned by (day, model)"])
def test_a_slice_is_replaced_alone_and_twice_is_as_once(company: Company, partition: str) -> None:
    with open_warehouse(company.spark) as warehouse:
        warehouse.execute("create schema if not exists ml")
        warehouse.execute("drop table if exists ml.slices")
        warehouse.execute(
            "create table ml.slices (day date, model string, id string, seen timestamp, "
            f"share double) using parquet{partition}"
        )
        other = rows("other", day=dt.date(2024, 1, 2))
        assert warehouse.append("ml.slices", other) == 1
        for _ in range(2):
            new = rows(None, "", "it's", 'a "b" \\')
            assert warehouse.replace_slice("ml.slices", new, where=SLICE) == 4
        names = other.schema.names
        found = warehouse.query(
            f'select {", ".join(names)} from ml.slices where "day" = $day order by id nulls first',
            {"day": SLICE["day"]},
        )
        assert found.schema.equals(other.schema)
        assert sorted(found["id"].to_pylist(), key=str) == sorted(new["id"].to_pylist(), key=str)
        assert found["seen"].to_pylist()[0] == new["seen"].to_pylist()[0]
        assert warehouse.replace_slice("ml.slices", rows(), where=SLICE) == 0
        assert warehouse.query("select id from ml.slices")["id"].to_pylist() == ["other"]
        streamed = pa.Table.from_batches(warehouse.stream("select * from ml.slices", batch_rows=1))
        assert streamed["id"].to_pylist() == ["other"]
        warehouse.execute("drop table ml.slices")


def test_dbt_never_builds_in_the_catalogue_of_another_project(
    company: Company, tmp_path: Path
) -> None:
    def relations(settings: Settings) -> list[str]:
        with open_warehouse(settings) as warehouse:
            return [str(each) for each in warehouse.relations(["bronze"])]

    with open_warehouse(company.spark) as warehouse:
        # Every project has a schema ml; a thread that remembers this one would not make another.
        warehouse.execute("create schema if not exists ml")
    before = relations(company.spark)
    other = on_spark(company.spark, tmp_path)
    # Twice: the first time in threads of their own, the second in threads that served another.
    for seed in ("ticket_intents", "onboarding_steps"):
        dbt.run_dbt(other, ["seed", "--select", seed])
        assert relations(company.spark) == before
    assert relations(other) == ["bronze.onboarding_steps", "bronze.ticket_intents"]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: shutil.rmtree(raw / "customers"), "No customers"),
        (
            lambda raw: shutil.copy(raw / "orders" / "part1.parquet", raw / "orders.parquet"),
            "Expected one place with the raw rows of 'orders'",
        ),
        (lambda raw: _rename(raw, "amount", "total"), "has the column 'total'"),
        (lambda raw: _rename(raw, "amount", None), "lacks the column 'amount'"),
        (lambda raw: _numbers(raw), "'ordered_at' is bigint"),
    ],
)
def test_raw_files_that_break_the_contract_are_refused(
    company: Company, tmp_path: Path, spoil: object, message: str
) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(company.raw, raw)
    spoil(raw)  # type: ignore[operator]
    settings = replace(
        company.spark,
        raw_dir=raw,
        target_dir=tmp_path / "target",
        vars={**company.spark.vars, "raw_path": str(raw)},
    )
    with pytest.raises(HoldfastError, match=message):
        select = ["bronze_input_customers", "bronze_input_orders"]
        dbt.run_dbt(settings, ["compile", "--select", *select])


def test_csv_files_hold_the_same_rows(company: Company, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    shutil.copytree(company.raw, folder)
    for part in (folder / "orders").glob("*.parquet"):
        with duckdb.connect() as connection:
            connection.execute(
                f"copy (from '{part}') to '{part.with_suffix('.csv')}' (force_quote *)"
            )
        part.unlink()
    read = []
    for raw in (company.raw, folder):
        settings = replace(company.spark, vars={**company.spark.vars, "raw_path": str(raw)})
        dbt.run_dbt(settings, ["run", "--select", "bronze_input_customers", "bronze_input_orders"])
        with open_warehouse(settings) as warehouse:
            read.append(warehouse.contents("bronze.input_orders", by="1", without=["row_text"]))
    assert read[0] == read[1]


def _rename(raw: Path, name: str, new: str | None) -> None:
    path = raw / "orders" / "part1.parquet"
    table = pq.read_table(path)
    if new is None:
        pq.write_table(table.drop_columns([name]), path)
    else:
        names = [new if each == name else each for each in table.column_names]
        pq.write_table(table.rename_columns(names), path)


def _numbers(raw: Path) -> None:
    path = raw / "orders" / "part1.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("ordered_at")
    numbers = table["ordered_at"].cast(pa.timestamp("us")).cast(pa.int64())
    pq.write_table(table.set_column(place, "ordered_at", numbers), path)
