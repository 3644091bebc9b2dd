"""The whole main job in order: data, dbt, train, score, marts, publish, summary."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml import dbt
from ml.errors import HoldfastError
from ml.progress import Progress, Steps, StepTime
from ml.publish import PublishResult, publish
from ml.score import is_current as is_scored
from ml.score import score
from ml.settings import Settings
from ml.summary import Summary, summarise
from ml.train import is_current as is_trained
from ml.train import train


@dataclass(frozen=True)
class RunResult:
    """What a run did, and what there is to know about it.

    Attributes
    ----------
    steps
        The steps with their times.
    warnings
        What tests and dbt warn of, one sentence each.
    notes
        What the models reported, such as the dates that they rebuilt.
    published
        The file of marts.
    summary
        What the warehouse holds now.
    """

    steps: tuple[StepTime, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    published: PublishResult
    summary: Summary

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def run(settings: Settings, steps: Steps, *, is_demo: bool = False) -> RunResult:
    """Do everything in order; what is already there and still true is left alone.

    Parameters
    ----------
    settings
        The project.
    steps
        Shows the steps and keeps their times.
    is_demo
        Whether to make up a demo company where there is no raw data yet.

    Raises
    ------
    HoldfastError
        Where a step fails. Steps before it stay done, and the next run goes on from there.
    """
    if is_demo and not _has_files(settings.raw_dir):
        with steps.step("Make up a demo company") as step:
            made = _simulate(settings, step.progress)
            step.outcome = f"{made['customers']:,} customers over {made['months']} months"
    dbt.install_packages(settings)
    with steps.step("Build bronze, silver and gold, and test them") as step:
        built = dbt.build(settings, exclude=dbt.AFTER_SCORING, progress=step.progress)
        step.outcome = f"{built.nodes} dbt nodes"
    with steps.step("Train") as step:
        if is_trained(settings):
            step.outcome = "not needed: there is a model of this very training set"
        else:
            train(settings, progress=step.progress)
    with steps.step("Score") as step:
        if is_scored(settings):
            step.outcome = "not needed: the newest observations have their predictions"
        else:
            score(settings, progress=step.progress)
    with steps.step("Build the marts and test them") as step:
        marts = dbt.build(settings, select=dbt.AFTER_SCORING, progress=step.progress)
        step.outcome = f"{marts.nodes} dbt nodes"
    with steps.step("Publish the marts") as step:
        published = publish(settings, progress=step.progress)
        step.outcome = published.path.name if published.is_new else "not needed: nothing changed"
    with steps.step("Sum up") as step:
        summary = summarise(settings)
    return RunResult(
        steps=tuple(steps.times),
        warnings=tuple(dict.fromkeys(built.warnings + marts.warnings)),
        notes=tuple(dict.fromkeys(built.notes + marts.notes)),
        published=published,
        summary=summary,
    )
