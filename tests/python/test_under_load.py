"""A run that is killed, or meets a full disk or too little memory: the next one takes it up.

`bench/load/kills.py` kills whole runs at many moments; docs/under_load.md has what came of it.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
from functools import partial

import duckdb
import pyarrow.parquet as pq
import pytest
from under_load import Company, Ended, Event, Moment, differences, moments

SEED = 4


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company.made(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def undisturbed(company: Company) -> tuple[Ended, dict[str, object]]:
    """A run that nobody disturbs, and what it leaves."""
    ended = company.run("run")
    assert ended.exit_code == 0, ended.output
    assert company.leftovers() == []
    assert company.torn() == []
    return ended, company.outcome()


def small_files(most_bytes: int) -> None:
    """Let no file of this process grow beyond this, which is what a full disk looks like to it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def little_memory(limit: str) -> None:
    """Let the engine take so little memory."""
    os.environ["HOLDFAST_MEMORY_LIMIT"] = limit


def assert_refused(ended: Ended, *words: str) -> None:
    """Check that a command ended with exit code 1 and one sentence that holds these words."""
    assert ended.exit_code == 1, ended.output
    said = [line for line in ended.output.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, ended.output
    assert "Traceback" not in ended.output
    for word in words:
        assert word in said[0]


def steps_of(ended: Ended, step: str) -> list[Event]:
    """Return what one step reported, and when the next began."""
    events = list(ended.events)
    first, *_, last = (n for n, event in enumerate(events) if event.step.startswith(step))
    return events[first : last + 2]


def test_runs_killed_or_out_of_disk_end_where_an_undisturbed_one_ends(
    company: Company, undisturbed: tuple[Ended, dict[str, object]]
) -> None:
    reference, outcome = undisturbed
    scored, _ = outcome["ml.predictions"]
    assert scored > 100
    # From the raw files on again; what dbt knows of the project's text may stay.
    for path in company.local.iterdir():
        if path.name != "raw":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    chance = random.Random(SEED)
    early, late = moments(steps_of(reference, "Train"), chance, 2)
    (building,) = moments(steps_of(reference, "Build bronze"), chance, 1)
    writing = Moment("Writing the predictions", chance.uniform(0, 0.05))
    killed = 0
    refused = company.run("run", before=partial(small_files, 1_500_000))
    assert_refused(refused, "The disk with", "is full", "Free some space and run again")
    # Single commands where they will do: a whole run looks at all of gold again.
    for words, moment in (
        ("run", building),
        ("run", early),
        ("train", late),
        ("train", None),
        ("score", writing),
    ):
        ended = company.run(words, kill_at=moment)
        assert ended.exit_code in (0, -signal.SIGKILL), ended.output
        killed += ended.exit_code < 0
        assert company.torn() == [], moment
    assert killed >= 3
    ended = company.run("run")
    assert ended.exit_code == 0, ended.output
    assert differences(company.outcome(), outcome) == {}
    assert company.leftovers() == []


def change_marts(company: Company) -> None:
    """Change what is to be published, though no row of it."""
    with duckdb.connect(str(company.warehouse)) as warehouse:
        warehouse.execute("comment on table marts.retention_worklist is 'changed'")


@pytest.fixture
def built(company: Company, undisturbed: tuple[Ended, dict[str, object]]) -> Company:
    """The company as an undisturbed run leaves it."""
    assert differences(company.outcome(), undisturbed[1]) == {}
    return company


def test_a_full_disk_while_publishing_leaves_the_old_marts(built: Company) -> None:
    change_marts(built)
    before = built.marts.read_bytes()
    refused = built.run("publish", before=partial(small_files, len(before) // 2))
    assert_refused(refused, "The disk with", "is full", "Free some space and run again")
    assert built.marts.read_bytes() == before
    assert built.leftovers() == []
    assert built.run("publish").exit_code == 0
    assert built.marts.read_bytes() != before


def test_a_full_disk_while_a_training_set_is_frozen_leaves_none(
    built: Company, undisturbed: tuple[Ended, dict[str, object]]
) -> None:
    folder = built.local / "training_sets"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    (size,) = (len(content) for name, content in before.items() if name.endswith(".parquet"))
    refused = built.run("freeze", before=partial(small_files, size // 2))
    assert_refused(refused, "The disk with", "is full", "Free some space and run again")
    assert not list(folder.iterdir())
    assert built.run("freeze").exit_code == 0
    for path in folder.glob("*.parquet"):
        assert path.read_bytes() == before[path.name]
        assert pq.read_metadata(path).num_rows > 0


def test_a_full_disk_while_a_model_is_stored_leaves_the_registry_whole(built: Company) -> None:
    before = built.registry()
    words = ("train", "--families", "logistic_regression")
    size = (built.local / "mlflow.db").stat().st_size
    refused = built.run(*words, before=partial(small_files, size // 2))
    assert_refused(refused, "is full", "run again")
    after = built.registry()
    assert (after["aliases"], after["versions"]) == (before["aliases"], before["versions"])
    with sqlite3.connect(built.local / "mlflow.db") as store:
        assert store.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert built.torn() == []
    # That the run failed could not be written either; the next training says so.
    assert built.run("train").exit_code == 0
    assert built.registry() == before


def test_too_little_memory_is_told_in_one_sentence(built: Company) -> None:
    refused = built.run("run", before=partial(little_memory, "2MB"))
    assert_refused(refused, "Memory ran out", "2MB", "raise HOLDFAST_MEMORY_LIMIT")
    assert built.torn() == []
