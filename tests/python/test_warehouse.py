import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ml.errors import ContractError, HoldfastError
from ml.warehouse import DuckDBWarehouse

SLICE = {"as_of_date": "2024-01-01", "model_name": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.execute("create schema ml")
        warehouse.execute(
            "create table ml.scores (as_of_date date, model_name varchar, id varchar, score double)"
        )
    return path


def rows(*ids: str, score: float = 0.5, as_of_date: str = "2024-01-01") -> pa.Table:
    # Not in the table's order: rows go in by name.
    return pa.table(
        {
            "score": pa.array([score] * len(ids), pa.float64()),
            "id": pa.array(ids, pa.string()),
            "model_name": pa.array([None] * len(ids), pa.string()),
            "as_of_date": pa.array([as_of_date] * len(ids), pa.string()),
        }
    )


def content(path: Path) -> list[tuple[str, str, float]]:
    with DuckDBWarehouse.open(path, read_only=True) as warehouse:
        table = warehouse.query(
            "select as_of_date::varchar as as_of_date, id, score from ml.scores order by all"
        )
    return [tuple(row.values()) for row in table.to_pylist()]


def test_the_same_slice_twice_is_as_once(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.append("ml.scores", rows("a", as_of_date="2023-12-01"))
        assert warehouse.replace_slice("ml.scores", rows("a", "b"), where=SLICE) == 2
        assert warehouse.replace_slice("ml.scores", rows("a", "b"), where=SLICE) == 2
    assert content(path) == [
        ("2023-12-01", "a", 0.5),
        ("2024-01-01", "a", 0.5),
        ("2024-01-01", "b", 0.5),
    ]


def test_a_slice_may_shrink_to_nothing(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("a", "b"), where=SLICE)
        assert warehouse.replace_slice("ml.scores", rows(), where=SLICE) == 0
    assert content(path) == []


def test_batches_may_be_made_from_the_warehouse_itself(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("a", "b", "c"), where=SLICE)
        doubled = warehouse.stream(
            "select as_of_date, model_name, id, score * 2 as score from ml.scores where score < $x",
            {"x": 1.0},
            batch_rows=2,
        )
        assert warehouse.replace_slice("ml.scores", doubled, where=SLICE) == 3
    assert [row[2] for row in content(path)] == [1.0, 1.0, 1.0]


def test_a_generator_that_raises_leaves_the_old_slice(path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows("new").to_batches()
        raise ValueError("broken")

    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("old"), where=SLICE)
        with pytest.raises(ValueError, match="broken"):
            warehouse.replace_slice("ml.scores", broken(), where=SLICE)
        # And the connection is as good as before.
        warehouse.append("ml.scores", rows("other", as_of_date="2023-12-01"))
    assert [row[1] for row in content(path)] == ["other", "old"]


def test_a_value_of_the_wrong_type_leaves_the_old_slice_and_says_why(path: Path) -> None:
    wrong = rows("new").set_column(0, "score", pa.array(["high"]))
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("old"), where=SLICE)
        with pytest.raises(HoldfastError, match="high"):
            warehouse.replace_slice("ml.scores", wrong, where=SLICE)
    assert [row[1] for row in content(path)] == ["old"]


def test_a_killed_process_leaves_the_old_slice(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("old"), where=SLICE)
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        import pyarrow as pa
        from ml.warehouse import DuckDBWarehouse

        def batches(warehouse):
            table = warehouse.query("select * replace ('new' as id) from ml.scores")
            for number in range(2000):
                yield from table.to_batches()
            os.kill(os.getpid(), signal.SIGKILL)

        warehouse = DuckDBWarehouse.open(Path(sys.argv[1]))
        slice = {"as_of_date": "2024-01-01", "model_name": None}
        warehouse.replace_slice("ml.scores", batches(warehouse), where=slice)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [row[1] for row in content(path)] == ["old"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rows("a").drop_columns(["score"]), "missing: score"),
        (rows("a").append_column("extra", pa.array([1])), "Unknown: extra"),
        (rows("a").append_column("id", pa.array(["b"])), "exactly its columns"),
    ],
)
def test_rows_must_have_exactly_the_columns(path: Path, given: pa.Table, said: str) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("old"), where=SLICE)
        with pytest.raises(ContractError, match=said):
            warehouse.replace_slice("ml.scores", given, where=SLICE)
    assert [row[1] for row in content(path)] == ["old"]


def test_names_and_slices_are_checked(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        for name in ("scores", "ml.scores; drop table ml.scores", 'ml."scores"', "a.b.c"):
            with pytest.raises(HoldfastError, match=r"schema\.name"):
                warehouse.columns(name)
        with pytest.raises(ContractError, match="no relation ml.absent"):
            warehouse.columns("ml.absent")
        with pytest.raises(ContractError, match="no column customer"):
            warehouse.replace_slice("ml.scores", rows("a"), where={"customer": 1})
        with pytest.raises(HoldfastError, match="none came"):
            warehouse.replace_slice("ml.scores", rows("a"), where={})
        assert not warehouse.exists("ml.absent")
        assert warehouse.exists("ml.scores")
        assert warehouse.columns("ml.scores") == {
            "as_of_date": "DATE",
            "model_name": "VARCHAR",
            "id": "VARCHAR",
            "score": "DOUBLE",
        }


def test_values_are_parameters_never_sql(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.append("ml.scores", rows("a"))
        found = warehouse.query("select id from ml.scores where id = $1", ["a' or '1' = '1"])
    assert found.num_rows == 0


def test_a_name_in_sql_never_means_a_python_variable(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        with pytest.raises(HoldfastError, match="Table with name params does not exist"):
            warehouse.query("select * from params")
        with pytest.raises(HoldfastError, match="Table with name params does not exist"):
            list(warehouse.stream("select * from params"))


def test_a_stream_keeps_to_its_batch_size(path: Path) -> None:
    with DuckDBWarehouse.open(path, read_only=True) as warehouse:
        batches = list(warehouse.stream("select range as x from range(250)", batch_rows=100))
    assert [batch.num_rows for batch in batches] == [100, 100, 50]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_warehouse_locked_by_another_program_names_it(path: Path, read_only: bool) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; held = duckdb.connect(sys.argv[1]); "
            "print('open', flush=True); input()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(HoldfastError, match="locked") as caught:
            DuckDBWarehouse.open(path, read_only=read_only)
    finally:
        holder.communicate("\n")
    assert str(path) in str(caught.value)
    assert f"process {holder.pid}" in str(caught.value)
    assert "Close that program" in str(caught.value)


def test_a_reader_needs_a_warehouse_and_creates_none(tmp_path: Path) -> None:
    absent = tmp_path / "absent.duckdb"
    with pytest.raises(HoldfastError, match="holdfast run"):
        DuckDBWarehouse.open(absent, read_only=True)
    assert not absent.exists()


def test_a_file_that_is_no_warehouse_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database" * 1000)
    with pytest.raises(HoldfastError, match="not a valid DuckDB database file"):
        DuckDBWarehouse.open(path)
    assert path.read_text() == "not a database" * 1000


def test_a_full_disk_leaves_the_old_slice_and_says_what_to_do(path: Path) -> None:
    with DuckDBWarehouse.open(path) as warehouse:
        warehouse.replace_slice("ml.scores", rows("old"), where=SLICE)
    limit = path.stat().st_size + 2_000_000
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        import pyarrow as pa
        from ml.errors import HoldfastError
        from ml.warehouse import DuckDBWarehouse

        # A file that may not grow is what a full disk looks like to its writer.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        def batches(warehouse):
            for number in range(400):
                yield from warehouse.query(
                    "select date '2024-01-01' as as_of_date, null::varchar as model_name, "
                    "md5((range + $1)::varchar) as id, random() as score from range(20000)",
                    [number],
                ).to_batches()

        try:
            with DuckDBWarehouse.open(Path(sys.argv[1])) as warehouse:
                slice = {"as_of_date": "2024-01-01", "model_name": None}
                warehouse.replace_slice("ml.scores", batches(warehouse), where=slice)
        except HoldfastError as error:
            sys.exit(str(error))
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert ended.returncode == 1
    assert "The disk with" in ended.stderr
    assert "Free some space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [row[1] for row in content(path)] == ["old"]
