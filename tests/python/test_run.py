"""`holdfast run` on the demo company: what it leaves, and that a second run leaves it alone."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import ROOT, Demo, quiet
from rich.console import Console

from ml.run import RunResult, run
from ml.run_page import render
from ml.settings import Settings
from ml.warehouse import DuckDBWarehouse


def contents(path: Path) -> dict[str, tuple[int, str]]:
    """Return rows and a fingerprint of every table, whatever the order of rows."""
    with DuckDBWarehouse.open(path, read_only=True) as warehouse:
        tables = warehouse.query(
            "select schema_name, table_name from duckdb_tables() where not internal order by all"
        ).to_pylist()
        found = {}
        for table in tables:
            name = f"{table['schema_name']}.{table['table_name']}"
            row = warehouse.query(
                "select count(*) as rows, sum(hash(cells))::varchar as content "
                f"from {name} as cells"
            ).to_pylist()[0]
            found[name] = (row["rows"], row["content"])
    return found


def page(settings: Settings, result: RunResult) -> str:
    console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(render(settings, result))
    return console.export_text()


def test_the_steps_are_in_order_and_timed(demo: Demo) -> None:
    names = [step.name for step in demo.result.steps]
    assert [name.split()[0] for name in names] == ["Build", "Train", "Score", "Build", "Publish"]
    assert all(step.seconds > 0 for step in demo.result.steps)
    assert demo.settings.marts_path.is_file()


def test_a_second_run_does_no_needless_work_and_changes_nothing(demo: Demo) -> None:
    settings = demo.settings
    before = contents(settings.warehouse_path)
    published = settings.marts_path.stat()
    again = run(settings, quiet(), is_demo=True)
    assert contents(settings.warehouse_path) == before
    assert settings.marts_path.stat().st_mtime_ns == published.st_mtime_ns
    assert not again.trained.is_new
    assert again.scored is not None
    assert not again.scored.is_new
    assert not again.published.is_new
    assert [step.outcome.startswith("not needed") for step in again.steps] == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_the_summary_agrees_with_the_files_and_the_warehouse(demo: Demo) -> None:
    summary = demo.result.summary
    for each in summary.intake:
        assert each.rows_in == each.rows_kept + each.repeats + each.rejects
        file = pq.read_metadata(demo.settings.raw_dir / f"{each.entity}.parquet")
        assert each.rows_in == file.num_rows
        reasons = [reject.rows for reject in summary.rejects if reject.entity == each.entity]
        assert sum(reasons) == each.rejects
    assert len(summary.intake) == 7
    assert sum(each.rejects for each in summary.intake) > 0
    with DuckDBWarehouse.open(demo.settings.warehouse_path, read_only=True) as warehouse:
        rows = {(each.layer, each.relation): each.rows for each in summary.relations}
        for layer, relation in [("gold", "customer_360"), ("marts", "retention_worklist")]:
            counted = warehouse.query(f"select count(*) as rows from {layer}.{relation}")
            assert rows[layer, relation] == counted["rows"][0].as_py() > 0
        first = warehouse.query(
            "select customer_id from marts.customer_risk where is_current "
            "order by revenue_at_risk desc, churn_probability desc, customer_id limit 10"
        )
    assert [each.customer_id for each in summary.customers] == first["customer_id"].to_pylist()
    assert all(each.reasons for each in summary.customers)


def test_the_page_tells_what_a_person_wants_to_know(demo: Demo) -> None:
    text = page(demo.settings, demo.result)
    for words in (
        "customer_360",
        "missing customer_id",
        "established",
        "recency alone",
        "the truth itself",
        demo.result.summary.customers[0].customer_id,
        "marts.duckdb",
        "mlflow ui --backend-store-uri sqlite:///",
    ):
        assert words in text, words


def test_the_card_of_the_demos_model_tells_whom_it_misses(demo: Demo) -> None:
    version = demo.result.trained.model_version
    text = (demo.settings.reports_dir / f"model_card_{version}.md").read_text()
    for segment in ("cohort: mature", "value\\_tier: smb", "country: US"):
        assert f"| {segment} |" in text
    assert "the truth itself" in text


def test_a_name_that_looks_like_markup_is_shown_as_it_is(demo: Demo) -> None:
    first = replace(demo.result.summary.customers[0], customer_id="[red]c1[/red]")
    summary = replace(demo.result.summary, customers=(first,))
    assert "[red]c1[/red]" in page(demo.settings, replace(demo.result, summary=summary))


def test_without_a_champion_nobody_is_scored_and_the_run_says_why(demo: Demo) -> None:
    result = replace(
        demo.result,
        scored=None,
        warnings=("Nobody was scored: the model does not beat recency alone.",),
        summary=replace(demo.result.summary, customers=()),
    )
    text = page(demo.settings, result)
    assert "Nobody was scored" in text
    assert "Whom to call first" not in text


@pytest.mark.parametrize("command", ["score", "train", "publish"])
def test_a_command_prints_one_json_object(demo: Demo, command: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ml", command, "--json", "--project-dir", str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **demo.environment},
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["is_new"] is False
    assert "Traceback" not in ended.stderr


def test_a_run_as_json_holds_the_whole_summary(demo: Demo) -> None:
    from ml.terminal import plain

    plain = json.loads(json.dumps(plain(demo.result), allow_nan=False))
    assert plain["summary"]["customers"][0]["priority"] == 1
    assert plain["trained"]["model_version"] == 1
    assert plain["steps"][0]["seconds"] > 0
