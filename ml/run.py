"""The whole main job in order: data, dbt, train, score, marts, publish, summary."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml import dbt
from ml.load import load, needs_load
from ml.progress import Step, Steps, StepTime, by_share
from ml.publish import PublishResult, publish
from ml.registry import Registry
from ml.score import ScoreResult, score
from ml.settings import Settings
from ml.simulate import simulate
from ml.summary import Summary, summarise
from ml.train import TrainResult, train


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
    trained
        The model of this training set, and how it was judged.
    scored
        The newest predictions; None where no model is fit to serve.
    published
        The file of marts.
    summary
        What the warehouse holds now.
    """

    steps: tuple[StepTime, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    trained: TrainResult
    scored: ScoreResult | None
    published: PublishResult
    summary: Summary

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            **{name: value for name, value in vars(self).items() if name not in _OWN_WORDS},
            "trained": self.trained.to_dict(),
            "scored": self.scored.to_dict() if self.scored else None,
            "published": asdict(self.published),
            "summary": asdict(self.summary),
            "steps": [asdict(step) for step in self.steps],
        }


_OWN_WORDS = ("trained", "scored", "published", "summary", "steps")


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
            made = simulate(
                customers=settings.demo.customers,
                months=settings.demo.months,
                seed=settings.seed,
                out=settings.raw_dir,
                progress=by_share(step.progress),
            )
            step.outcome = f"{made.customers:,} customers over {made.months} months"
    dbt.install_packages(settings)
    if needs_load(settings):
        with steps.step("Load the raw files") as step:
            loaded = load(settings, progress=step.progress)
            step.outcome = f"{loaded.rows:,} rows" if loaded.is_new else "not needed: no new files"
    with steps.step("Build bronze, silver and gold, and test them") as step:
        built = dbt.build(settings, exclude=dbt.AFTER_SCORING, progress=step.progress)
        step.outcome = f"{built.nodes} dbt nodes"
    with steps.step("Train and judge") as step:
        trained = train(settings, progress=step.progress)
        step.outcome = (
            f"version {trained.model_version}"
            if trained.is_new
            else f"not needed: version {trained.model_version} is of this very training set"
        )
    with steps.step("Score") as step:
        scored = _score(settings, step)
    with steps.step("Build the marts and test them") as step:
        marts = dbt.build(settings, select=dbt.AFTER_SCORING, progress=step.progress)
        step.outcome = f"{marts.nodes} dbt nodes"
    with steps.step("Publish the marts") as step:
        published = publish(settings, progress=step.progress)
        step.outcome = published.path.name if published.is_new else "not needed: nothing changed"
    return RunResult(
        steps=tuple(steps.times),
        warnings=_warnings(trained, scored) + _distinct(built.warnings + marts.warnings),
        notes=_distinct(built.notes + marts.notes),
        trained=trained,
        scored=scored,
        published=published,
        summary=summarise(settings),
    )


def _score(settings: Settings, step: Step) -> ScoreResult | None:
    """Score with the champion; without one there is nothing to score with, and that is no error."""
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    if store.champion(settings.train.model_name) is None:
        step.outcome = "left out: no model is fit to serve"
        return None
    scored = score(settings, progress=step.progress)
    step.outcome = (
        f"{scored.predictions:,} customers as of {scored.as_of_date}"
        if scored.is_new
        else "not needed: the newest observations have their predictions"
    )
    return scored


def _warnings(trained: TrainResult, scored: ScoreResult | None) -> tuple[str, ...]:
    if scored is None:
        return (f"Nobody was scored: {trained.verdict}",)
    return () if trained.is_champion else (trained.verdict,)


def _distinct(sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
