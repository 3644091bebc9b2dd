"""Every generic data test passes on a table that keeps its claim and fails on one that breaks it.

The tables are models of a scratch project that has the macros and generic tests of Holdfast and
none of its models. One build runs all cases.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
GENERIC_TESTS = REPOSITORY / "tests" / "generic"

PROJECT = """
name: holdfast
version: 1.0.0
config-version: 2
profile: scratch
flags:
  send_anonymous_usage_stats: false
  use_colors: false
models:
  +materialized: view
"""
PROFILE = """
scratch:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: scratch.duckdb
      threads: 1
"""


@dataclass(frozen=True)
class Case:
    """One table under one generic test; `failures` is the number of rows that the test returns."""

    test: str
    claim: str
    rows: str
    failures: int
    arguments: Mapping[str, object] = field(default_factory=dict)
    columns: Sequence[Mapping[str, object]] = ()

    @property
    def name(self) -> str:
        return f"{self.test}_{self.claim}".replace(",", "").replace(" ", "_")


def versions(*rows: tuple[str, int, int | None]) -> str:
    """Select versions of (key, first day, last day) in January 2024."""

    def moment(day: int | None) -> str:
        return "cast(null as timestamp)" if day is None else f"timestamp '2024-01-{day:02d}'"

    return " union all ".join(
        f"select '{key}' as k, {moment(start)} as known_from, {moment(end)} as known_to"
        for key, start, end in rows
    )


def activity(**changes: str) -> str:
    """Select a row of activity that keeps the contract, but for the changes."""
    row = {
        "activity_id": "'a'",
        "customer_id": "'c'",
        "user_id": "cast(null as varchar)",
        "occurred_at": "timestamp '2024-02-29'",
        "action": "'login'",
        "feature": "cast(null as varchar)",
        "quantity": "1",
        "minutes": "0.00",
        "known_at": "timestamp '2024-02-29'",
    } | changes
    return "select " + ", ".join(f"{value} as {column}" for column, value in row.items())


def touches(**changes: str) -> str:
    """Select a row of gold.features_touches that keeps its ranges, but for the changes."""
    row = {
        "customer_id": "'c'",
        "as_of_date": "date '2024-03-01'",
        "touches_90d": "0",
        "open_ratio_90d": "1.0",
        "click_ratio_90d": "cast(null as decimal(18, 6))",
        "offers_accepted_365d": "7",
    } | changes
    return "select " + ", ".join(f"{value} as {column}" for column, value in row.items())


def recency(days_since_last_login: str) -> str:
    """Select a row of gold.features_recency."""
    kinds = ["activity", "feature_use", "ticket", "order", "payment", "touch"]
    others = ", ".join(f"cast(null as integer) as days_since_last_{kind}" for kind in kinds)
    return (
        "select 'c' as customer_id, date '2024-03-01' as as_of_date, "
        f"{days_since_last_login} as days_since_last_login, {others}"
    )


def contract(name: str) -> dict[str, Any]:
    """Read one model's entry from the YAML."""
    for path in sorted((REPOSITORY / "models").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            if model["name"] == name:
                return dict(model)
    raise LookupError(name)


KEY = {"columns": ["a", "b"]}
VERSION = {"key": "k"}
A = {"columns": ["a"]}
RANGE = ({"name": "a", "config": {"meta": {"min": 0, "max": 5}}},)
RANGE_OF_B = ({"name": "b", "config": {"meta": {"min": 0, "max": 5}}},)
REQUIRED_B = ({"name": "b", "config": {"meta": {"is_required": True}}},)
# Arguments and columns of rows that stand for those of a model of ours.
ACTIVITY = ({"columns": ["activity_id"]}, contract("bronze_activity")["columns"])
OBSERVATION = {"columns": ["customer_id", "as_of_date"]}
TOUCHES = (OBSERVATION, contract("gold_features_touches")["columns"])
RECENCY = (OBSERVATION, contract("gold_features_recency")["columns"])
CASES = [
    Case(
        "unique_key",
        "keys differ in one column",
        "select 1 as a, 1 as b union all select 1, 2",
        0,
        KEY,
    ),
    Case(
        "unique_key",
        "a later column may be null",
        "select 1 as a, null as b union all select 1, 2",
        0,
        KEY,
    ),
    Case("unique_key", "a key stands twice", "select 1 as a, 1 as b union all select 1, 1", 1, KEY),
    Case(
        "unique_key",
        "a key with a null stands twice",
        "select 1 as a, cast(null as integer) as b union all select 1, null",
        1,
        KEY,
    ),
    Case(
        "unique_key",
        "the first column is null",
        "select cast(null as integer) as a, 1 as b",
        1,
        KEY,
    ),
    Case("keeps_contract", "both ends belong", "select 0 as a union all select 5", 0, A, RANGE),
    Case("keeps_contract", "key null", "select cast(null as integer) as a", 1, A, RANGE),
    Case("keeps_contract", "null where it may be", "select 1 as a, null as b", 0, A, RANGE_OF_B),
    Case("keeps_contract", "null where required", "select 1 as a, null as b", 1, A, REQUIRED_B),
    Case("keeps_contract", "below, above", "select -1 as a union all select 6", 2, A, RANGE),
    Case("keeps_contract", "a key stands twice", "select 1 as a union all select 1", 1, A, RANGE),
    Case("has_one_row", "one", "select 1 as a", 0),
    Case("has_one_row", "none", "select 1 as a where false", 1),
    Case("has_one_row", "two", "select 1 as a union all select 1", 1),
    Case(
        "intervals_tile",
        "one after the other",
        versions(("k", 1, 2), ("k", 2, None), ("m", 1, None)),
        0,
        VERSION,
    ),
    Case("intervals_tile", "a gap", versions(("k", 1, 2), ("k", 3, None)), 1, VERSION),
    Case("intervals_tile", "an overlap", versions(("k", 1, 3), ("k", 2, None)), 1, VERSION),
    # the first open one does not end where the next one starts, and there are two
    Case("intervals_tile", "two open", versions(("k", 1, None), ("k", 2, None)), 2, VERSION),
    # the last one ends though no other starts, and none is open
    Case("intervals_tile", "none open", versions(("k", 1, 2), ("k", 2, 3)), 2, VERSION),
    Case("intervals_tile", "empty", versions(("k", 1, 1), ("k", 1, None)), 1, VERSION),
    Case("keeps_contract", "input kept", activity(), 0, *ACTIVITY),
    Case(
        "keeps_contract",
        "input without customer",
        activity(customer_id="cast(null as varchar)"),
        1,
        *ACTIVITY,
    ),
    Case(
        "keeps_contract",
        "input known a second before it happened",
        activity(known_at="timestamp '2024-02-28 23:59:59'"),
        1,
        *ACTIVITY,
    ),
    Case("keeps_contract", "input below the least", activity(quantity="0"), 1, *ACTIVITY),
    Case("keeps_contract", "features kept", touches(), 0, *TOUCHES),
    Case(
        "keeps_contract",
        "feature null",
        touches(touches_90d="cast(null as integer)"),
        1,
        *TOUCHES,
    ),
    Case("keeps_contract", "feature count below 0", touches(touches_90d="-1"), 1, *TOUCHES),
    Case("keeps_contract", "share above 1", touches(open_ratio_90d="1.000001"), 1, *TOUCHES),
    Case("keeps_contract", "share below 0", touches(click_ratio_90d="-0.000001"), 1, *TOUCHES),
    Case("keeps_contract", "days", recency("0"), 0, *RECENCY),
    Case("keeps_contract", "days below 0", recency("-1"), 1, *RECENCY),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """Build every case once: name -> (status, rows returned)."""
    project = tmp_path_factory.mktemp("scratch")
    (project / "dbt_project.yml").write_text(PROJECT)
    (project / "profiles.yml").write_text(PROFILE)
    (project / "models").mkdir()
    (project / "tests").mkdir()
    (project / "macros").symlink_to(REPOSITORY / "macros")
    (project / "tests" / "generic").symlink_to(GENERIC_TESTS)
    models = []
    for case in CASES:
        (project / "models" / f"{case.name}.sql").write_text(case.rows)
        data_test = {"name": f"test_{case.name}", "arguments": dict(case.arguments)}
        models.append(
            {
                "name": case.name,
                "data_tests": [{case.test: data_test}],
                "columns": list(case.columns),
            }
        )
    (project / "models" / "cases.yml").write_text(yaml.safe_dump({"models": models}))

    selection = [argument for case in CASES for argument in ("--select", case.name)]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "dbt.cli.main",
            "build",
            "--project-dir",
            ".",
            "--profiles-dir",
            ".",
            *selection,
        ],
        cwd=project,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("DBT_")},
    )
    assert (project / "target" / "run_results.json").exists(), run.stdout + run.stderr
    entries = json.loads((project / "target" / "run_results.json").read_text())["results"]
    return {
        entry["unique_id"].split(".")[2].removeprefix("test_"): (entry["status"], entry["failures"])
        for entry in entries
        if entry["unique_id"].startswith("test.")
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_generic_test_tells_good_from_bad(
    case: Case, results: dict[str, tuple[str, int]]
) -> None:
    assert results[case.name] == ("fail" if case.failures else "pass", case.failures)


def test_every_generic_test_has_a_case_that_passes_and_one_that_fails() -> None:
    tests = {path.stem for path in GENERIC_TESTS.glob("*.sql")}
    assert tests == {case.test for case in CASES if not case.failures}
    assert tests == {case.test for case in CASES if case.failures}
