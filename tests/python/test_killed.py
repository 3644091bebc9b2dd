"""A run that is killed, all of its processes at once, is taken up by the next as if nothing were.

`bench/load/kills.py` does the same at many moments of whole runs; docs/under_load.md has what came of
it.
"""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

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


def steps_of(ended: Ended, step: str) -> list[Event]:
    """Return what one step reported, and when the next began."""
    events = list(ended.events)
    first, *_, last = (n for n, event in enumerate(events) if event.step.startswith(step))
    return events[first : last + 2]


def test_killed_runs_end_where_an_undisturbed_one_ends(
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
