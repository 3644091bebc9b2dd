"""The command ``holdfast peers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute


def peers(
    families: Annotated[
        list[str] | None,
        typer.Option("--family", help="A family to try, once for each; the settings' without it."),
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(help="CDNOW_sample.txt: reproduce BG/NBD's published figure on it first."),
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Compare with recency alone and BG/NBD, date by date, on the same customers."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        import numpy as np

        from ml.peers import published, rolling
        from ml.peers.render import Peers, of_peers

        rng = np.random.default_rng(settings.seed)
        reproduced = None
        correlations: tuple[published.CountCorrelation, ...] = ()
        if sample is not None:
            with steps.step("Reproduce the published figure") as step:
                holdout = published.hold_out(published.read_sample(sample))
                reproduced = published.reproduce(holdout)
                step.outcome = f"correlation {reproduced.correlation:.3f}"
        with steps.step("Compare date by date") as step:
            found, left_out = rolling.origins(
                settings, families=families or (), progress=step.progress
            )
            compared = rolling.compare(
                found,
                samples=settings.train.bootstrap_samples,
                rng=rng,
                left_out=left_out,
            )
            step.outcome = f"{len(found)} dates"
        if sample is not None:
            correlations = published.correlate(
                holdout, found, samples=settings.train.bootstrap_samples, rng=rng
            )
        result = Peers(reproduced, correlations, compared)
        return result, of_peers(result)

    execute(work, project_dir, target, vars, as_json)
