import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ml.errors import HoldfastError
from ml.publish import publish
from ml.settings import Settings, load_settings
from ml.warehouse import DuckDBWarehouse


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOLDFAST_LOCAL", str(tmp_path / "local"))
    (tmp_path / "local").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: mine\n")
    settings = load_settings(tmp_path)
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        warehouse.execute("create schema marts")
        warehouse.execute(
            "create table marts.worklist as "
            "select range as rank, 'c' || range as customer_id, {'why': range} as reason "
            "from range(1000)"
        )
        warehouse.execute("create view marts.totals as select 12.50::decimal(18, 2) as money")
        warehouse.execute("comment on table marts.worklist is 'Who it''s about'")
        warehouse.execute("comment on column marts.worklist.rank is '1 is first'")
    return settings


def change(settings: Settings) -> None:
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        warehouse.execute("update marts.worklist set customer_id = 'new' where rank = 0")


def first_customer(path: Path) -> str:
    # From another process, as an analyst would.
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(c.execute('select customer_id from marts.worklist where rank = 0').fetchone()[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def test_marts_are_published_with_types_and_comments(settings: Settings) -> None:
    result = publish(settings)
    assert result.is_new
    assert result.rows == {"totals": 1, "worklist": 1000}
    with duckdb.connect(str(settings.marts_path), read_only=True) as reader:
        assert reader.execute(
            "select * from marts.worklist order by rank desc limit 1"
        ).fetchall() == [(999, "c999", {"why": 999})]
        assert str(reader.execute("select money from totals").fetchall()[0][0]) == "12.50"
        assert reader.execute("select comment from duckdb_tables()").fetchall() == [
            (None,),
            ("Who it's about",),
        ]
        assert reader.execute(
            "select comment from duckdb_columns() where column_name = 'rank'"
        ).fetchall() == [("1 is first",)]


def test_nothing_changes_where_nothing_changed(settings: Settings) -> None:
    publish(settings)
    before = settings.marts_path.stat()
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        # The same rows in another order are the same content.
        warehouse.execute(
            "create or replace table marts.worklist as "
            "select * from marts.worklist order by rank desc"
        )
        warehouse.execute("comment on table marts.worklist is 'Who it''s about'")
        warehouse.execute("comment on column marts.worklist.rank is '1 is first'")
    assert not publish(settings).is_new
    after = settings.marts_path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    "statement",
    [
        "update marts.worklist set customer_id = 'new' where rank = 0",
        "delete from marts.worklist where rank = 0",
        "alter table marts.worklist add column note varchar",
        "alter table marts.worklist alter rank type integer",
        "create table marts.more as select 1 as one",
        "drop view marts.totals",
        "comment on column marts.worklist.rank is 'first of all'",
    ],
)
def test_any_change_is_published(settings: Settings, statement: str) -> None:
    publish(settings)
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        warehouse.execute(statement)
    assert publish(settings).is_new
    assert not publish(settings).is_new


def test_a_reader_goes_on_reading_the_old_file_while_it_is_replaced(settings: Settings) -> None:
    publish(settings)
    # A second name of the same file: what a reader who has it open holds on to.
    held = settings.local_dir / "held.duckdb"
    os.link(settings.marts_path, held)
    content = held.read_bytes()
    reader = duckdb.connect(str(settings.marts_path), read_only=True)
    change(settings)
    assert publish(settings).is_new
    query = "select customer_id from marts.worklist where rank = 0"
    assert reader.execute(query).fetchall() == [("c0",)]
    assert reader.execute("select count(distinct customer_id) from worklist").fetchall() == [
        (1000,)
    ]
    reader.close()
    assert held.read_bytes() == content
    assert first_customer(settings.marts_path) == "new"


def test_a_reader_who_opened_the_file_for_writing_hinders_nobody(settings: Settings) -> None:
    publish(settings)
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute('create table mine as select 1 as one'); "
        "c.execute('insert into mine values (2)'); print('open', flush=True); input(); "
        "c.execute('insert into mine values (3)'); c.close()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(settings.marts_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    assert settings.marts_path.with_name("marts.duckdb.wal").exists()
    change(settings)
    assert publish(settings).is_new
    assert first_customer(settings.marts_path) == "new"
    writer.communicate("\n")
    assert writer.returncode == 0
    assert first_customer(settings.marts_path) == "new"


def test_a_file_that_cannot_be_read_is_replaced(settings: Settings) -> None:
    settings.marts_path.write_text("not a database" * 1000)
    assert publish(settings).is_new
    assert first_customer(settings.marts_path) == "c0"


def test_a_failure_leaves_the_old_file_and_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings)
    change(settings)

    def refuse(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(HoldfastError, match="Free some space"):
            publish(settings)
    assert first_customer(settings.marts_path) == "c0"
    assert {path.name for path in settings.local_dir.iterdir()} == {
        "marts.duckdb",
        "warehouse.duckdb",
    }


def test_a_killed_run_leaves_the_old_file_and_the_next_one_cleans_up(settings: Settings) -> None:
    publish(settings)
    change(settings)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ml.publish import publish\n"
        "from ml.settings import load_settings\n"
        "die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.replace = die\n"
        "publish(load_settings(Path(sys.argv[1])))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(settings.project_dir)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert first_customer(settings.marts_path) == "c0"
    assert len(list(settings.local_dir.glob(".marts.duckdb.*"))) == 1
    assert publish(settings).is_new
    assert first_customer(settings.marts_path) == "new"
    assert not list(settings.local_dir.glob(".marts.duckdb.*"))


def test_another_run_that_publishes_now_keeps_its_file(settings: Settings) -> None:
    theirs = settings.local_dir / f".marts.duckdb.{os.getppid()}"
    theirs.write_text("at work")
    publish(settings)
    assert theirs.read_text() == "at work"


def test_no_marts_are_no_empty_file(settings: Settings) -> None:
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        warehouse.execute("drop schema marts cascade")
    with pytest.raises(HoldfastError, match="no marts"):
        publish(settings)
    assert not settings.marts_path.exists()
