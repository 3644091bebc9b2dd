"""dbt itself, as anybody runs it: parsed without a warning, green with data and without."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Demo, settings_in

from ml.dbt import run_dbt
from ml.settings import Settings
from ml.warehouse import DuckDBWarehouse


@pytest.fixture
def fresh(demo: Demo, tmp_path: Path) -> Iterator[Settings]:
    """The demo company's raw files, and nothing built from them."""
    yield replace(demo.settings, local_dir=tmp_path / "local")


def test_the_project_parses_without_a_warning(tmp_path: Path) -> None:
    result = run_dbt(settings_in(tmp_path), ["parse", "--warn-error", "--no-partial-parse"])
    assert result.warnings == ()


def test_everything_is_green_on_the_demo_company(demo_copy: Settings) -> None:
    result = run_dbt(demo_copy, ["build"])
    with DuckDBWarehouse.open(demo_copy.warehouse_path, read_only=True) as warehouse:
        scored = warehouse.query("select count(*) as rows from ml.predictions")["rows"][0].as_py()
    assert scored > 0
    assert result.nodes > 100
    assert result.warnings == ()


def test_everything_is_green_where_nothing_was_ever_scored(fresh: Settings) -> None:
    fresh.local_dir.mkdir()
    shutil.copytree(fresh.raw_dir, fresh.local_dir / "raw")
    run_dbt(replace(fresh, raw_dir=fresh.local_dir / "raw"), ["build", "--full-refresh"])
    with DuckDBWarehouse.open(fresh.warehouse_path, read_only=True) as warehouse:
        rows = warehouse.query(
            "select (select count(*) from ml.predictions) as scored, "
            "(select count(*) from marts.retention_worklist) as listed, "
            "(select count(*) from gold.customer_360) as observed"
        ).to_pylist()[0]
    assert rows["scored"] == rows["listed"] == 0
    assert rows["observed"] > 0


def test_the_documentation_can_be_made(demo_copy: Settings, tmp_path: Path) -> None:
    settings = replace(demo_copy, target_dir=tmp_path / "target")
    run_dbt(settings, ["docs", "generate"])
    catalog = (settings.target_dir / "catalog.json").read_text()
    assert "model.holdfast.marts_retention_worklist" in catalog
    assert (settings.target_dir / "index.html").is_file()
