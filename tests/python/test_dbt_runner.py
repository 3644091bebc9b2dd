"""The dbt runner, on a project of three nodes."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from ml import dbt
from ml.errors import HoldfastError
from ml.settings import Settings, load_settings
from ml.warehouse import DuckDBWarehouse

PROFILE = """
tiny:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: "{{ env_var('HOLDFAST_LOCAL') }}/warehouse.duckdb"
      threads: 2
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HOLDFAST_LOCAL", raising=False)
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "dbt_project.yml").write_text(
        "name: tiny\nversion: 1.0.0\nconfig-version: 2\nprofile: tiny\n"
    )
    (tmp_path / "profiles.yml").write_text(PROFILE)
    (tmp_path / "models" / "first.sql").write_text("select 1 as a")
    (tmp_path / "models" / "second.sql").write_text("select a from {{ ref('first') }}")
    return tmp_path


def build(project: Path, **options: object) -> dbt.DbtResult:
    return dbt.build(load_settings(project), **options)  # type: ignore[arg-type]


def failure(project: Path) -> str:
    with pytest.raises(HoldfastError) as caught:
        build(project)
    message = str(caught.value)
    assert "\n" not in message
    assert "in macro" not in message
    return message


def value(settings: Settings, relation: str) -> object:
    with DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        return warehouse.query(f"select a from {relation}").to_pydict()["a"][0]


def test_a_build_reports_progress_and_leaves_the_warehouse_closed(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, int, int]] = []
    (project / "models" / "third.sql").write_text(
        "{% do print('on paper') %}{% do log('built a thing', info=true) %}select 1 as a"
    )
    result = build(project, progress=lambda *step: seen.append(step))
    assert result.nodes == 3
    assert sorted(step[0] for step in seen) == ["first", "second", "third"]
    assert [step[1:] for step in seen] == [(0, 3), (1, 3), (2, 3)]
    assert result.notes == ("built a thing",)
    assert result.warnings == ()
    assert value(load_settings(project), "main.second") == 1
    # Standard output belongs to the command line.
    assert capfd.readouterr().out == ""
    assert "HOLDFAST_LOCAL" not in os.environ
    assert "third" in (project / "local" / "logs" / "dbt.log").read_text()


def test_builds_and_python_take_turns_on_the_warehouse(project: Path) -> None:
    settings = load_settings(project)
    for _ in range(2):
        build(project)
        with DuckDBWarehouse.open(settings.warehouse_path) as warehouse:
            warehouse.execute("create table if not exists main.mine as select 5 as a")
    assert value(settings, "main.mine") == 5


def test_a_selection_builds_only_what_it_names(project: Path) -> None:
    assert build(project, select=["first"]).nodes == 1
    assert build(project, exclude=["first"]).nodes == 1


def test_vars_and_target_reach_dbt(project: Path) -> None:
    (project / "models" / "first.sql").write_text("select {{ var('number') }} as a")
    settings = load_settings(project, vars={"number": 42})
    dbt.build(settings)
    assert value(settings, "main.second") == 42
    with pytest.raises(HoldfastError, match="does not have a target named 'prod'"):
        dbt.build(load_settings(project, target="prod", vars={"number": 42}))


def test_a_refusal_of_a_macro_is_told_in_its_own_words(project: Path) -> None:
    (project / "macros").mkdir()
    (project / "macros" / "check.sql").write_text(
        "{% macro check() %}{% if execute %}{{ exceptions.raise_compiler_error("
        "'The file x lacks the column y. Name it.') }}{% endif %}{% endmacro %}"
    )
    (project / "models" / "first.sql").write_text("select 1 as a {{ check() }}")
    assert failure(project) == (
        "The file x lacks the column y. Name it. dbt stopped at the model first; the whole "
        f"story is in {project}/local/logs/dbt.log."
    )


def test_a_model_that_fails_is_named_with_its_reason(project: Path) -> None:
    (project / "models" / "second.sql").write_text("select nothing from {{ ref('first') }}")
    message = failure(project)
    assert message.startswith("The model second (models/second.sql) failed: ")
    assert '"nothing" not found' in message
    assert message.endswith(f"The whole story is in {project}/local/logs/dbt.log.")


def test_a_failure_is_told_where_stopping_the_other_queries_fails_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []

    def cancel(*_: object) -> None:
        called.append(1)
        raise duckdb.ConnectionException("Connection already closed!")

    # Called after every failure, whether or not a query is running just then.
    monkeypatch.setattr(DuckDBConnectionManager, "cancel_open", cancel)
    (project / "models" / "first.sql").write_text("select nothing")
    assert failure(project).startswith("The model first (models/first.sql) failed: ")
    assert called


def test_a_test_that_fails_is_named_with_the_query_that_shows_the_rows(project: Path) -> None:
    (project / "tests" / "assert_none.sql").write_text("select * from {{ ref('second') }}")
    message = failure(project)
    assert "Got 1 result, configured to fail if != 0." in message
    assert "/compiled/tiny/tests/assert_" in message


def test_a_test_that_warns_is_a_warning(project: Path) -> None:
    (project / "tests" / "assert_none.sql").write_text(
        "{{ config(severity='warn') }} select * from {{ ref('first') }}"
    )
    assert build(project).warnings == ("assert_none: Got 1 result, configured to warn if != 0.",)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from {{ ref('absent') }}", "depends on a node named 'absent'"),
        ("select {{ nothing() }}", "'nothing' is undefined"),
        ("select {% if %}", "Expected an expression"),
    ],
)
def test_a_project_that_cannot_be_parsed_says_so(project: Path, sql: str, said: str) -> None:
    (project / "models" / "second.sql").write_text(sql)
    assert said in failure(project)


def test_a_locked_warehouse_is_found_out_before_dbt_starts(project: Path) -> None:
    build(project)
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(project / "local" / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        (project / "local" / "logs" / "dbt.log").unlink()
        with pytest.raises(HoldfastError, match=f"process {holder.pid}"):
            build(project)
        assert not (project / "local" / "logs" / "dbt.log").exists()
    finally:
        holder.communicate("\n")


def test_packages_are_installed_where_they_are_missing(project: Path) -> None:
    package = project / "package"
    (package / "models").mkdir(parents=True)
    (package / "dbt_project.yml").write_text("name: package\nversion: 1.0.0\nconfig-version: 2\n")
    (package / "models" / "theirs.sql").write_text("select 7 as a")
    (project / "packages.yml").write_text("packages: [{local: package}]\n")
    settings = load_settings(project)
    dbt.install_packages(settings)
    assert build(project).nodes == 3
    assert value(settings, "main.theirs") == 7


def test_relative_paths_mean_the_project_whatever_the_folder(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "numbers.csv").write_text("a\n8\n")
    (project / "models" / "first.sql").write_text(
        "{{ config(materialized='table') }} select a from read_csv('numbers.csv')"
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    build(project)
    assert value(load_settings(project), "main.second") == 8
    assert Path.cwd() == elsewhere
    assert not list(elsewhere.iterdir())
