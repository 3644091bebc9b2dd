"""The commands `backtest` and `ablate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute

Families = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Families of models, with commas between; train.families without."
    ),
]


def backtest(
    dates: Annotated[int, typer.Option(min=1, help="How many past dates to judge.")] = 12,
    families: Families = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Judge families on past dates, each trained on what was known on that date."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.choosing.backtest import backtest as judge
        from ml.choosing.render import of_backtest

        with steps.step("Backtest") as step:
            result = judge(settings, dates=dates, families=families, progress=step.progress)
        return result, of_backtest(result)

    execute(work, project_dir, target, vars, as_json)


def ablate(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT]...", help="Of the settings; all without any."),
    ] = None,
    family: Annotated[
        str, typer.Option(metavar="NAME", help="The family of models to judge.")
    ] = "lightgbm",
    dates: Annotated[int, typer.Option(min=1, help="How many past dates to judge.")] = 3,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Leave features out and say what that costs, with its interval."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.choosing.ablation import ablate as judge
        from ml.choosing.render import of_ablation

        with steps.step("Ablate") as step:
            result = judge(
                settings,
                names=experiments or (),
                family=family,
                dates=dates,
                progress=step.progress,
            )
        return result, of_ablation(result)

    execute(work, project_dir, target, vars, as_json)
