"""Ten readers of the published marts while a build rewrites the warehouse and publishes it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from readers import read_once, readers, troubles

from ml.publish import publish
from ml.settings import Settings, load_settings
from ml.warehouse.duckdb import DuckDBWarehouse

READERS = 10
PUBLICATIONS = 6
CUSTOMERS = 5_000
CAPACITY = 200


def build(settings: Settings, publication: int) -> None:
    """Write all marts anew, one after the other: who looks between two sees two builds."""
    with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
        warehouse.execute("create schema if not exists marts")
        warehouse.execute(
            "create or replace table marts.customer_risk as select 'c' || range as customer_id, "
            f"range + 1 as priority, {publication} as publication from range({CUSTOMERS})"
        )
        warehouse.execute(
            "create or replace table marts.retention_worklist as "
            f"select * from marts.customer_risk where priority <= {CAPACITY}"
        )
        warehouse.execute(
            "create or replace table marts.revenue_at_risk as select publication, "
            "count(*) as customers from marts.customer_risk group by publication"
        )


# Relations of one file that are not whole, or are of different builds.
LOOK = f"""
    with seen as (
        select 'customer_risk' as relation, publication, count(*) as customers
        from customer_risk group by publication
        union all
        select 'retention_worklist', publication, count(*) + {CUSTOMERS - CAPACITY}
        from retention_worklist group by publication
        union all
        select 'revenue_at_risk', publication, customers from revenue_at_risk
    )

    select string_agg(relation || ' ' || publication || ' ' || customers, ', ' order by relation)
    from seen
    having count(*) != 3 or count(distinct publication) != 1 or min(customers) != {CUSTOMERS}
        or max(customers) != {CUSTOMERS}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOLDFAST_LOCAL", str(tmp_path / "local"))
    (tmp_path / "local").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: mine\n")
    return load_settings(tmp_path)


def test_ten_readers_read_whole_files_while_builds_are_published(settings: Settings) -> None:
    build(settings, 0)
    publish(settings)
    with readers(settings.marts_path, LOOK, count=READERS, pause=0.002) as reads:
        for publication in range(1, PUBLICATIONS):
            build(settings, publication)
            publish(settings)
    assert troubles(reads.all) == []
    # They did read while files were replaced, and not only before or after.
    assert len(reads.all) > READERS
    assert len({read.file for read in reads.all}) > 2


def test_a_reader_tells_of_a_file_that_is_not_one_publication(settings: Settings) -> None:
    build(settings, 0)
    publish(settings)
    assert read_once(settings.marts_path, LOOK).trouble == ()
    with duckdb.connect(str(settings.marts_path)) as mixed:
        mixed.execute("update customer_risk set publication = 1")
    assert "customer_risk 1" in read_once(settings.marts_path, LOOK).trouble[0]
    with duckdb.connect(str(settings.marts_path)) as short:
        short.execute("update customer_risk set publication = 0")
        short.execute("delete from customer_risk where priority = 1")
    assert f"customer_risk 0 {CUSTOMERS - 1}" in read_once(settings.marts_path, LOOK).trouble[0]
    content = settings.marts_path.read_bytes()
    settings.marts_path.write_bytes(content[: len(content) // 2])
    assert read_once(settings.marts_path, LOOK).trouble
    settings.marts_path.unlink()
    assert "IOException" in read_once(settings.marts_path, LOOK).trouble[0]
