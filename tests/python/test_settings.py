from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from ml.errors import HoldfastError, UsageError
from ml.settings import load_settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HOLDFAST_LOCAL", raising=False)
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    (tmp_path / "dbt_project.yml").write_text("name: mine\nprofile: mine\n")
    return tmp_path


def override(project: Path, text: str) -> None:
    (project / "holdfast.yml").write_text(text)


def test_defaults_need_no_file_of_ones_own(project: Path) -> None:
    settings = load_settings(project)
    assert settings.train.model_name == "churn"
    assert settings.local_dir == project / "local"
    assert settings.raw_dir == project / "local" / "raw"
    assert settings.truth_dir == project / "local" / "truth"
    assert settings.warehouse_path == project / "local" / "warehouse.duckdb"
    assert settings.manifest_path == project / "target" / "manifest.json"
    assert settings.mlflow_uri == f"sqlite:///{project}/local/mlflow.db"
    assert settings.target == "duckdb"


def test_an_override_replaces_one_key_and_leaves_its_neighbours(project: Path) -> None:
    before = load_settings(project)
    override(project, "train: {test_dates: 5, lightgbm: {num_leaves: 7, path_smooth: 1.5}}")
    after = load_settings(project)
    assert after.train.test_dates == 5
    assert after.train.lightgbm["num_leaves"] == 7
    assert after.train.lightgbm["path_smooth"] == 1.5
    assert after.train.lightgbm["learning_rate"] == before.train.lightgbm["learning_rate"]
    assert after.score == before.score


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sead: 1", "sead"),
        ("train: {tests_dates: 5}", "train.tests_dates"),
        ("train: 5", "train must be a mapping"),
        ("train: {test_dates: many}", "train.test_dates must be int, but is 'many'"),
        ("train: {test_dates: true}", "train.test_dates must be int"),
        ("train: {sample_weight_power: true}", "train.sample_weight_power must be float"),
        ("train: {sample_weight_power: 1.5}", "train.sample_weight_power must be from 0 to 1"),
        ("train: {test_dates: 0}", "train.test_dates must be at least 1"),
        ("train: {capacity_share: 1.5}", "train.capacity_share must lie between 0 and 1"),
        ("train: {calibration_method: guess}", "isotonic, sigmoid, none, auto"),
        ("score: {reasons: -1}", "score.reasons must be at least 1"),
        ("demo: {customers: 0}", "demo.customers must be at least 1"),
        ("summary: {customers: -1}", "summary.customers must be at least 0"),
        ("- a list", "must be a mapping"),
        ("a: [", "Cannot read"),
    ],
)
def test_a_settings_file_that_makes_no_sense_is_refused(
    project: Path, text: str, said: str
) -> None:
    override(project, text)
    with pytest.raises(HoldfastError, match=said.replace("[", r"\[")) as caught:
        load_settings(project)
    assert caught.value.exit_code == 1


def test_a_whole_number_serves_as_a_float_and_an_empty_file_as_no_override(project: Path) -> None:
    without = load_settings(project)
    override(project, "")
    assert load_settings(project) == without
    # YAML writes 1 for 1.0; where a share is wanted it is too large, not of a wrong type.
    override(project, "train: {capacity_share: 1}")
    with pytest.raises(HoldfastError, match=r"between 0 and 1, but is 1\.0"):
        load_settings(project)


def test_a_folder_without_a_dbt_project_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--project-dir") as caught:
        load_settings(tmp_path)
    assert caught.value.exit_code == 2


def test_the_environment_moves_the_local_folder_and_the_manifest(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_LOCAL", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("DBT_TARGET_PATH", "other")
    settings = load_settings(project)
    assert settings.marts_path == tmp_path / "elsewhere" / "marts.duckdb"
    assert settings.manifest_path == project / "other" / "manifest.json"
    monkeypatch.setenv("HOLDFAST_LOCAL", "here")
    assert load_settings(project).local_dir == project / "here"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "from_package_scope"),
        ({"raw_path": "given"}, "given"),
        ({"raw_path": "given", "holdfast": {"raw_path": "scoped"}}, "scoped"),
        ({"raw_path": "/data"}, "/data"),
    ],
)
def test_raw_path_is_found_where_dbt_finds_it(
    project: Path, given: dict[str, object], expected: str
) -> None:
    (project / "dbt_project.yml").write_text(
        "name: mine\nvars: {raw_path: from_project, holdfast: {raw_path: from_package_scope}}\n"
    )
    assert load_settings(project, vars=given).raw_dir == project / expected


@pytest.mark.parametrize(
    ("target", "expected"), [("dev", "dev"), ("\"{{ env_var('T') }}\"", "duckdb")]
)
def test_the_target_is_the_profiles_own_where_none_is_given(
    project: Path, target: str, expected: str
) -> None:
    (project / "profiles.yml").write_text(f"mine: {{target: {target}, outputs: {{}}}}\n")
    assert load_settings(project).target == expected
    assert load_settings(project, target="prod").target == "prod"


def test_settings_cannot_be_changed(project: Path) -> None:
    settings = load_settings(project, vars={"cadence": "week"})
    with pytest.raises(FrozenInstanceError):
        settings.seed = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.vars["cadence"] = "day"  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.train.lightgbm["num_leaves"] = 1  # type: ignore[index]
