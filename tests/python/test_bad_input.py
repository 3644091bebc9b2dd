"""What bad input gets: one sentence that says what to do, exit code 1, and nothing half-written.

Every case runs the command as a person does. They share one folder, so that dbt parses once.
"""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, heed_interrupts

from ml.simulate import simulate

Ended = subprocess.CompletedProcess[str]
PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1


@dataclass(frozen=True)
class Place:
    """A folder in which the command works on raw files that a test spoils."""

    local: Path
    target: Path

    @property
    def raw(self) -> Path:
        return self.local / "raw"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOLDFAST_LOCAL": str(self.local),
            "DBT_TARGET_PATH": str(self.target),
        }

    def holdfast(
        self, *words: str, before: Callable[[], None] | None = None, vars: str = "{}"
    ) -> Ended:
        return subprocess.run(
            [*self.command(*words), "--vars", vars],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            preexec_fn=before,
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "ml", *words, "--project-dir", str(ROOT)]

    def change(self, entity: str, change: Callable[[pa.Table], pa.Table]) -> None:
        path = self.raw / f"{entity}.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    def relations(self, schema: str) -> dict[str, int]:
        """Return the rows of every table of a schema."""
        path = self.local / "warehouse.duckdb"
        if not path.exists():
            return {}
        with duckdb.connect(str(path), read_only=True) as warehouse:
            names = warehouse.execute(
                "select table_name from duckdb_tables() where schema_name = $1", [schema]
            ).fetchall()
            return {
                name: warehouse.execute(f'select count(*) from {schema}."{name}"').fetchall()[0][0]
                for (name,) in names
            }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("bad_input")
    return Place(folder / "local", folder / "target")


@pytest.fixture
def place(shared: Place) -> Iterator[Place]:
    """The shared folder, emptied."""
    shutil.rmtree(shared.local, ignore_errors=True)
    shared.local.mkdir()
    yield shared


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company of two months, a day less than a horizon and its grace."""
    out = tmp_path_factory.mktemp("company") / "raw"
    simulate(customers=60, months=2, seed=5, out=out)
    return out


@pytest.fixture
def young(place: Place, company: Path) -> Place:
    shutil.copytree(company, place.raw)
    return place


def assert_refused(ended: Ended, *words: str) -> str:
    """Check that a command ended with one sentence that holds these words, and return it."""
    errors = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert ended.returncode == 1, ended.stderr
    assert len(errors) == 1, ended.stderr
    assert ended.stderr.endswith(f"{errors[0]}\n"), ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    for word in words:
        assert word in errors[0]
    return errors[0]


def drop_rows(table: pa.Table) -> pa.Table:
    return table.slice(0, 0)


def test_no_raw_files(place: Place) -> None:
    assert_refused(
        place.holdfast("run"), "No customers", str(place.raw), "raw_path", "holdfast simulate"
    )
    assert place.relations("bronze").get("customers") is None


def test_one_missing_file(young: Place) -> None:
    (young.raw / "customers.parquet").unlink()
    assert_refused(young.holdfast("run"), "No customers", "customers.parquet")


def test_customers_alone(young: Place) -> None:
    for entity in ("subscriptions", "orders", "activity"):
        (young.raw / f"{entity}.parquet").unlink()
    assert_refused(young.holdfast("run"), "At least one of subscriptions, orders and activity")


def test_a_model_that_is_not_there(young: Place) -> None:
    assert_refused(
        young.holdfast("run", vars="{inputs: {customers: my_customers}}"),
        "'my_customers' which was not found",
        "Mend what it names and run again",
    )


def test_an_entity_that_the_contract_does_not_know(young: Place) -> None:
    assert_refused(
        young.holdfast("run", vars="{inputs: {clients: my_customers}}"), "'clients'", "customers"
    )


def test_a_column_that_the_contract_does_not_know(young: Place) -> None:
    young.change(
        "customers", lambda table: table.append_column("shoe_size", pa.array([42] * len(table)))
    )
    assert_refused(young.holdfast("run"), "'shoe_size'", "contract", "Rename the column")


def test_a_column_that_is_missing(young: Place) -> None:
    young.change("activity", lambda table: table.drop_columns(["occurred_at"]))
    assert_refused(young.holdfast("run"), "lacks the column 'occurred_at'", "'activity'")


def test_a_wrong_type(young: Place) -> None:
    def numbered(table: pa.Table) -> pa.Table:
        position = table.schema.get_field_index("signed_up_at")
        return table.set_column(position, "signed_up_at", pa.array(range(len(table))))

    young.change("customers", numbered)
    assert_refused(young.holdfast("run"), "'signed_up_at'", "timestamp", "Write it as")


def test_a_file_that_is_no_parquet(young: Place) -> None:
    (young.raw / "customers.parquet").write_text("customer_id\n1\n")
    assert_refused(young.holdfast("run"), "customers.parquet")


def test_no_customer_at_all(young: Place) -> None:
    young.change("customers", drop_rows)
    assert_refused(young.holdfast("run"), "customer")
    assert not any(young.relations("ml").values())


def test_nobody_is_active_where_the_facts_are_empty(young: Place) -> None:
    for entity in ("subscriptions", "orders", "activity"):
        young.change(entity, drop_rows)
    assert_refused(young.holdfast("run"), "customers")
    assert not any(young.relations("ml").values())


def test_an_empty_optional_entity_is_no_error_and_a_horizon_too_long_is_one(young: Place) -> None:
    young.change("tickets", drop_rows)
    assert_refused(young.holdfast("run"), "horizon is longer than the data", "Bring more history")
    # Gold stands whole: the next run goes on from it.
    assert young.relations("gold")["customer_360"] > 0
    assert not any(young.relations("ml").values())
    assert not (young.local / "marts.duckdb").exists()


def test_no_label_is_mature_yet(place: Place) -> None:
    simulate(customers=60, months=3, seed=5, out=place.raw)
    assert_refused(place.holdfast("run"), "No label is mature yet", "Bring data up to that day")
    assert not any(place.relations("ml").values())


def test_only_one_class(place: Place) -> None:
    simulate(customers=80, months=9, seed=5, out=place.raw)

    def stay(table: pa.Table) -> pa.Table:
        for name in ("cancelled_at", "ended_at", "end_reason"):
            position = table.schema.get_field_index(name)
            kind = table.schema.field(position).type
            table = table.set_column(position, name, pa.nulls(len(table), kind))
        return table

    place.change("subscriptions", stay)
    assert_refused(place.holdfast("run"), "one class", "both churned and retained")
    assert not any(place.relations("ml").values())
    assert not (place.local / "mlflow.db").exists() or not list(
        (place.local / "mlartifacts").glob("**/MLmodel")
    )


def test_more_rejects_than_the_threshold(young: Place) -> None:
    def nameless(table: pa.Table) -> pa.Table:
        position = table.schema.get_field_index("customer_id")
        ids = pc.if_else(
            pc.equal(pc.utf8_length(table["customer_id"]), -1), table["customer_id"], None
        )
        return table.set_column(position, "customer_id", ids)

    young.change("orders", nameless)
    young.change("tickets", nameless)
    assert_refused(young.holdfast("run"), "reject")


@pytest.mark.parametrize("command", ["run", "train", "publish"])
def test_a_warehouse_locked_by_another_program(place: Place, command: str) -> None:
    program = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(place.local / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        ended = place.holdfast(command)
    finally:
        holder.communicate("\n")
    assert_refused(ended, "locked", f"process {holder.pid}", "Close that program")


@pytest.mark.parametrize("command", ["train", "score", "publish"])
def test_a_step_before_the_one_it_needs(place: Place, command: str) -> None:
    assert_refused(place.holdfast(command), "holdfast ")


def test_a_full_disk(young: Place) -> None:
    def small_files() -> None:
        # A file that may not grow is what a full disk looks like to its writer.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    assert_refused(young.holdfast("run", before=small_files), "full", "Free some space")
    assert not (young.local / "marts.duckdb").exists()
    # With space again, the same command goes on from there.
    assert_refused(young.holdfast("run"), "horizon is longer than the data")


def test_a_full_disk_while_a_company_is_made_up(place: Place) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    ended = place.holdfast("simulate", "--customers", "100", "--months", "3", before=small_files)
    assert_refused(ended, "the disk refused", "Free some space")
    assert not place.raw.exists()


def without_override() -> None:
    """Let file permissions hold for root too, in the process that starts now."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)


@pytest.fixture
def read_only(place: Place) -> Iterator[Place]:
    place.local.chmod(0o555)
    probe = f"open({str(place.local / 'probe')!r}, 'w')"
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, preexec_fn=without_override
    )
    if ended.returncode == 0:
        place.local.chmod(0o755)
        pytest.skip("this machine lets its user write in a read-only folder")
    yield place
    place.local.chmod(0o755)


@pytest.mark.parametrize(
    "words", [["run", "--demo"], ["run"], ["simulate", "--customers", "20", "--months", "2"]]
)
def test_a_read_only_disk(read_only: Place, words: list[str]) -> None:
    ended = read_only.holdfast(*words, before=without_override)
    assert_refused(ended, str(read_only.local))
    assert not list(read_only.local.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run(young: Place, number: signal.Signals) -> None:
    process = subprocess.Popen(
        young.command("run"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=young.environment,
        preexec_fn=heed_interrupts,
    )
    log = young.local / "logs" / "dbt.log"
    # In the middle of the build: gold has begun.
    while not (log.exists() and "OK created sql table model silver.clock" in log.read_text()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate()
    assert out == ""
    assert not (young.local / "marts.duckdb").exists()
    if number is not signal.SIGKILL:
        assert_refused(Ended([], process.returncode, out, err), "Interrupted", "goes on")
        return
    assert process.returncode == -signal.SIGKILL
    # The next run finds nothing in its way, and goes as far as an undisturbed one.
    assert_refused(young.holdfast("run"), "horizon is longer than the data")
    assert young.relations("gold")["customer_360"] > 0
