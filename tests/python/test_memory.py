"""How much memory the engine may take, and what is said where memory or disk do not suffice."""

from pathlib import Path

import duckdb
import pytest

from ml import memory
from ml.errors import UsageError
from ml.memory import as_bytes, engine_limit, share_of_engine
from ml.shortage import shortage
from ml.warehouse.duckdb import DuckDBWarehouse

GIB = 1 << 30


@pytest.mark.parametrize(("amount", "expected"), [("2GB", 2 * 10**9), ("1.5 GiB", 3 * GIB // 2)])
def test_an_amount_is_read_as_the_engine_reads_it(amount: str, expected: int) -> None:
    assert as_bytes(amount) == expected
    with duckdb.connect() as engine:
        engine.execute(f"set memory_limit = '{amount}'")
        (shown,) = engine.execute("select current_setting('memory_limit')").fetchall()[0]
    assert as_bytes(shown) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("total", [1, 2, 4, 8, 64])
def test_python_keeps_a_gibibyte_or_half_of_what_there_is(total: int) -> None:
    left = total * GIB - share_of_engine(total * GIB)
    assert left >= min(GIB, total * GIB // 2)


def test_a_small_machine_gives_the_engine_less_than_its_usual_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOLDFAST_MEMORY_LIMIT", raising=False)
    monkeypatch.setattr(memory, "_total", lambda: 2 * GIB)
    assert engine_limit() == "1024MiB"
    monkeypatch.setattr(memory, "_total", lambda: 64 * GIB)
    assert engine_limit() == "80%"


def test_the_warehouse_heeds_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_MEMORY_LIMIT", "300MiB")
    with DuckDBWarehouse.open(tmp_path / "warehouse.duckdb") as warehouse:
        found = warehouse.query("select current_setting('memory_limit') as limit")
    assert found["limit"][0].as_py() == "300.0 MiB"


@pytest.mark.parametrize("amount", ["lots", "2", "-1GB", "0%", "2GB'; drop table x"])
def test_what_is_no_amount_is_refused(amount: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_MEMORY_LIMIT", amount)
    with pytest.raises(UsageError, match="such as 2GB"):
        engine_limit()


def test_the_engines_own_words_are_recognised(tmp_path: Path) -> None:
    said = {}
    for setting in ("max_temp_directory_size = '0MB'", "temp_directory = ''"):
        with duckdb.connect() as engine, pytest.raises(duckdb.Error) as raised:
            engine.execute("set memory_limit = '20MB'")
            engine.execute(f"set {setting}")
            engine.execute("create table t as select range::varchar as a from range(10000000)")
        said[setting.split()[0]] = str(shortage(tmp_path, str(raised.value)))
    assert "so is the disk" in said["max_temp_directory_size"]
    assert said["temp_directory"].startswith("Memory ran out.")
    # The engine's advice names settings that Holdfast sets itself.
    assert not any("Possible solutions" in sentence for sentence in said.values())


@pytest.mark.parametrize(
    "said",
    [
        "OSError: [Errno 28] No space left on device",
        "(sqlite3.OperationalError) database or disk is full",
        "IO Error: Could not write file: File too large",
    ],
)
def test_a_full_disk_is_recognised_whoever_says_so(said: str, tmp_path: Path) -> None:
    assert str(shortage(tmp_path, said)).startswith(f"The disk with {tmp_path} is full.")


def test_other_words_are_no_shortage(tmp_path: Path) -> None:
    assert shortage(tmp_path, "Catalog Error: Table with name memory does not exist") is None
