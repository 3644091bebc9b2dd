"""The command ``holdfast freeze``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.errors import UsageError
from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute


def freeze(
    known_until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Freeze what was known at this midnight; all there is without it.",
        ),
    ] = None,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare two frozen sets instead."),
    ] = None,
    reproduce: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Rebuild a frozen set from the warehouse as it is now instead."
        ),
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Freeze the training set as a file that is verified whenever it is read."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        if sum(each is not None for each in (known_until, diff, reproduce)) > 1:
            raise UsageError("Give one of --known-until, --diff and --reproduce, not several.")
        if diff is not None:
            return _diff(settings, steps, *diff)
        if reproduce is not None:
            return _reproduce(settings, steps, reproduce)
        return _freeze(settings, steps, known_until)

    result = execute(work, project_dir, target, vars, as_json)
    if not getattr(result, "is_green", True):
        raise typer.Exit(1)


def _freeze(
    settings: Settings, steps: Steps, known_until: datetime | None
) -> tuple[Any, RenderableType]:
    from ml.frozen.freeze import freeze as write
    from ml.frozen.render import of_freeze

    with steps.step("Freeze the training set") as step:
        result = write(settings, known_until=known_until, progress=step.progress)
        step.outcome = (
            f"{result.frozen.row_count:,} rows"
            if result.is_new
            else "not needed: this very set is frozen"
        )
    return result, of_freeze(result)


def _diff(settings: Settings, steps: Steps, name_a: str, name_b: str) -> tuple[Any, RenderableType]:
    from ml.frozen.compare import diff
    from ml.frozen.render import of_diff

    with steps.step("Compare two training sets") as step:
        result = diff(settings, name_a, name_b)
        step.outcome = f"{result.changed_cells:,} cells differ"
    return result, of_diff(result)


def _reproduce(settings: Settings, steps: Steps, name: str) -> tuple[Any, RenderableType]:
    from ml.frozen.render import of_reproduction
    from ml.frozen.reproduce import reproduce

    with steps.step("Rebuild the training set") as step:
        result = reproduce(settings, name, progress=step.progress)
        step.outcome = "the same" if result.is_green else "not the same"
    return result, of_reproduction(result)
