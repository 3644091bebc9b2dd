"""The command line as a person or a script meets it: as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import heed_interrupts

Ended = subprocess.CompletedProcess[str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: mine\nprofile: mine\n")
    return tmp_path


def holdfast(project: Path, *words: str) -> Ended:
    return subprocess.run(
        [sys.executable, "-m", "ml", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env=environment(),
    )


def environment() -> dict[str, str]:
    here = {name: value for name, value in os.environ.items() if name != "HOLDFAST_LOCAL"}
    return {**here, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"}


def simulate(project: Path, *words: str) -> Ended:
    return holdfast(project, "simulate", "--customers", "20", "--months", "2", *words)


def test_results_go_to_standard_output_and_progress_to_standard_error(project: Path) -> None:
    ended = simulate(project)
    assert ended.returncode == 0
    assert "customers" in ended.stdout
    assert "✓" not in ended.stdout
    assert "✓ Make up a demo company" in ended.stderr
    assert (project / "local" / "raw" / "customers.parquet").is_file()
    assert (project / "local" / "truth").is_dir()


def test_json_is_one_object_and_nothing_else(project: Path) -> None:
    ended = simulate(project, "--json")
    assert ended.returncode == 0
    result = json.loads(ended.stdout)
    assert result["customers"] == 20
    assert result["start"] == "2024-01-01"


def test_out_and_seed_are_heeded(project: Path) -> None:
    def content(name: str, seed: str) -> bytes:
        out = project / name / "raw"
        assert simulate(project, "--out", str(out), "--seed", seed).returncode == 0
        return (out / "activity.parquet").read_bytes()

    assert content("one", "1") == content("other", "1")
    assert content("one", "1") != content("third", "2")


def test_a_setting_is_the_default_of_an_option(project: Path) -> None:
    (project / "holdfast.yml").write_text("demo: {customers: 30, months: 3}\nseed: 11\n")
    result = json.loads(holdfast(project, "simulate", "--json").stdout)
    assert (result["customers"], result["months"], result["seed"]) == (30, 3, 11)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--no-such-option"], "No such option"),
        (["fly"], "No such command"),
        (["simulate", "--customers", "0"], "--customers"),
        (["simulate", "--customers", "many"], "--customers"),
        (["score", "--as-of", "yesterday"], "--as-of"),
        (["run", "--vars", "[1"], "--vars wants a YAML or JSON mapping"),
        (["run", "--vars", "word"], "--vars wants a YAML or JSON mapping"),
        (["run", "--project-dir", "nowhere"], "No dbt project in"),
    ],
)
def test_bad_usage_ends_with_2_and_a_sentence(project: Path, words: list[str], said: str) -> None:
    ended = holdfast(project, *words)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert not (project / "local").exists()


def test_a_failure_ends_with_1_and_a_sentence(project: Path) -> None:
    ended = holdfast(project, "publish")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: There is no warehouse at ")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_a_failure_is_one_json_object_too(project: Path) -> None:
    ended = holdfast(project, "publish", "--json")
    assert ended.returncode == 1
    failure = json.loads(ended.stdout)
    assert failure["exit_code"] == 1
    assert failure["error"] in ended.stderr


def publish_as(project: Path, body: str, *words: str) -> Ended:
    """Run `holdfast publish` with other work behind it."""
    program = (
        "import sys, ml.publish\n"
        f"def other(*_, **__): {body}\n"
        "ml.publish.publish = other\n"
        "from ml.cli import main\n"
        "sys.argv = ['holdfast', 'publish', *sys.argv[1:]]\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env=environment(),
    )


def test_what_a_library_prints_is_no_part_of_the_result(project: Path) -> None:
    ended = publish_as(project, "print('hello'); return {'rows': 1}", "--json")
    assert json.loads(ended.stdout) == {"rows": 1}
    assert "hello" in ended.stderr


def test_what_nobody_foresaw_is_a_sentence_and_a_log(project: Path) -> None:
    ended = publish_as(project, "raise ZeroDivisionError('by zero')")
    assert ended.returncode == 1
    assert "ZeroDivisionError: by zero" in ended.stderr
    assert "Traceback" not in ended.stderr
    log = project / "local" / "logs" / "holdfast.log"
    assert str(log) in ended.stderr
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_nothing_half_written(
    project: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ml", "simulate", "--customers", "30000", "--months", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env=environment(),
        preexec_fn=heed_interrupts,
    )
    local = project / "local"
    while not list(local.glob(".raw*/activity.parquet")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 1
    assert "Interrupted." in err
    assert "Traceback" not in err
    assert out == ""
    assert {path.name for path in local.iterdir()} == {"logs"}


def test_version_and_help_are_quick_to_give(project: Path) -> None:
    assert holdfast(project, "--version").stdout.startswith("holdfast ")
    program = (
        "import sys\n"
        "from ml import cli\n"
        "heavy = {'dbt', 'duckdb', 'lightgbm', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'sklearn'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert ended.stdout.strip() == ""
    helped = holdfast(project, "--help")
    assert helped.returncode == 0
    for command in ("run", "simulate", "train", "score", "evaluate", "publish"):
        assert f" {command} " in helped.stdout
