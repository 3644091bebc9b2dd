import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from matplotlib.figure import Figure
from model_fixtures import blank_store, build_company
from test_estimators import fitted, made

from ml import registry
from ml.clock import utc_now
from ml.errors import HoldfastError, UsageError
from ml.registry import RegisteredVersion, Registry
from ml.warehouse import DuckDBWarehouse


@pytest.fixture
def store(tmp_path):
    shutil.copy(blank_store(), tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "mlartifacts")


@pytest.fixture(scope="module")
def model():
    return fitted("logistic_regression", *made())


def register(store, model, key="key", record=None):
    with store.run("churn") as run_id:
        return store.register(
            run_id,
            "churn",
            model,
            record=record or {"seen": 1},
            training_key=key,
            tags={"training_set_id": "set"},
        )


def test_an_empty_store_knows_nothing(store):
    assert store.champion("churn") is None
    assert store.trained_with("churn", "key") is None


def test_a_registered_model_comes_back_whole(store, model):
    version = register(store, model, record={"rows": 3, "words": ["a"]})
    assert version.model_version == 1
    frame, _ = made(20)
    again = store.load_model(version)
    assert again.raw_score(frame).tolist() == model.raw_score(frame).tolist()
    assert again.types == model.types
    assert store.load_record(version) == {"rows": 3, "words": ["a"]}


def test_versions_count_up_and_are_found_by_their_key(store, model):
    first, second = register(store, model, "one"), register(store, model, "two")
    assert (first.model_version, second.model_version) == (1, 2)
    assert store.trained_with("churn", "one") == first
    tags = store._client.get_model_version("churn", "1").tags
    assert tags == {"training_key": "one", "training_set_id": "set"}
    assert store.trained_with("churn", "two") == second
    assert store.trained_with("churn", "three") is None


def test_an_alias_moves(store, model):
    first, second = register(store, model, "one"), register(store, model, "two")
    assert store.champion("churn") is None
    store.set_alias("churn", registry.CHAMPION, 1)
    assert store.champion("churn") == first
    store.set_alias("churn", registry.CHAMPION, 2)
    assert store.champion("churn") == second


def test_versions_are_found_by_number_and_tell_when_and_by_what_names(store, model):
    assert store.version("churn", 1) is None
    assert store.numbers("churn") == ()
    before = utc_now()
    first, second = register(store, model, "one"), register(store, model, "two")
    assert (store.version("churn", 2), store.version("churn", 3)) == (second, None)
    assert store.numbers("churn") == (1, 2)
    # MLflow keeps milliseconds.
    assert before - timedelta(milliseconds=1) <= store.registered_at(first) <= utc_now()
    store.set_alias("churn", registry.CHAMPION, 2)
    store.set_alias("churn", registry.CANDIDATE, 2)
    assert store.aliases_of(first) == ()
    assert store.aliases_of(second) == ("candidate", "champion")


def test_another_process_sees_what_was_stored(store, model, tmp_path):
    register(store, model)
    store.set_alias("churn", registry.CHAMPION, 1)
    again = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "mlartifacts")
    assert again.load_model(again.champion("churn")).family == "logistic_regression"


def test_two_stores_do_not_mix(store, model, tmp_path):
    register(store, model, record={"store": 1})
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    shutil.copy(blank_store(), other_folder / "mlflow.db")
    other = Registry(f"sqlite:///{other_folder / 'mlflow.db'}", other_folder / "mlartifacts")
    version = register(other, model, record={"store": 2})
    assert other.load_record(version) == {"store": 2}
    assert store.load_record(store.trained_with("churn", "key")) == {"store": 1}


def test_what_a_run_logs_can_be_read(store, tmp_path):
    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1])
    with store.run("churn") as run_id:
        store.log(
            run_id,
            params={"leaves": 8},
            metrics={"roc_auc": 0.75},
            figures={"roc.png": figure},
            tags={"training_set_id": "abc"},
        )
    run = store._client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"leaves": "8"}
    assert run.data.metrics == {"roc_auc": 0.75}
    assert run.data.tags["training_set_id"] == "abc"
    (picture,) = (tmp_path / "mlartifacts").rglob("curves/roc.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_with_an_error_inside_is_marked_failed_and_registers_nothing(store):
    with pytest.raises(ZeroDivisionError), store.run("churn") as run_id:
        raise ZeroDivisionError
    assert store._client.get_run(run_id).info.status == "FAILED"
    assert store.trained_with("churn", "key") is None


def test_missing_files_of_a_model_are_one_clear_sentence(store, model, tmp_path):
    version = register(store, model)
    shutil.rmtree(tmp_path / "mlartifacts")
    with pytest.raises(HoldfastError, match="model registry at .*mlflow.db could not be used"):
        store.load_model(version)


def test_a_file_that_is_no_store_is_one_clear_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, and long enough to be read as one")
    with pytest.raises(HoldfastError, match="model registry"):
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "a").champion("churn")


@pytest.mark.parametrize("name", ["it's", "a b", "", "1st"])
def test_a_name_that_needs_quoting_is_refused(store, name):
    with pytest.raises(UsageError, match="train.model_name"):
        store.champion(name)


def test_nothing_is_said_on_the_way(store, model, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        register(store, model)
        store.load_model(store.trained_with("churn", "key"))
    assert capfd.readouterr() == ("", "")
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert loud == []


def test_versions_reach_the_warehouse(tmp_path):
    company = build_company(tmp_path / "company", customers=20, months=2)
    row = dict.fromkeys(registry.MODEL_VERSIONS_SCHEMA.names) | {
        "model_name": "churn",
        "model_version": 1,
        "run_id": "one",
    }
    with DuckDBWarehouse.open(company.settings.warehouse_path) as warehouse:
        registry.write_model_version(warehouse, row)
        registry.write_model_version(warehouse, {**row, "run_id": "two"})
        registry.write_model_version(warehouse, {**row, "model_version": 2})
    found = company.sql("select model_version, run_id from ml.model_versions order by 1")
    assert found == [(1, "two"), (2, "one")]


def test_a_version_is_its_name_number_and_run():
    assert RegisteredVersion("churn", 1, "a") != RegisteredVersion("churn", 2, "a")


def test_a_run_killed_while_the_store_is_made_leaves_none(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from mlflow.store.db import utils\n"
        "from ml.registry import Registry\n"
        "utils._upgrade_db = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Registry(f'sqlite:///{sys.argv[1]}/mlflow.db', Path(sys.argv[1])).champion('churn')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".mlflow.db.*"))
    assert not (tmp_path / "mlflow.db").exists()
    assert Registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path).champion("churn") is None
    assert not list(tmp_path.glob(".mlflow.db.*"))


def test_runs_whose_process_is_gone_are_marked_as_killed(store, tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ml.registry import Registry\n"
        "with Registry(f'sqlite:///{sys.argv[1]}/mlflow.db', Path(sys.argv[1])).run('churn'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    with store.run("churn") as own:
        theirs = store._client.search_runs(["1"], f"attributes.run_id != '{own}'")
        assert [each.info.status for each in theirs] == ["RUNNING"]
        # One that is at work in another process stays as it is.
        store._client.set_tag(own, "holdfast.process", f"{platform.node()} {os.getppid()}")
        store.end_killed("churn")
        assert store._client.get_run(theirs[0].info.run_id).info.status == "KILLED"
        assert store._client.get_run(own).info.status == "RUNNING"
