"""The commands ``holdfast promote``, ``rollback`` and ``compare``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute


def add_to(app: typer.Typer) -> None:
    """Give the command line the commands that change which version serves."""
    for command in (promote, rollback, compare):
        app.command()(command)


def promote(
    version: Annotated[str, typer.Argument(help="A version's number, or an alias.")] = "candidate",
    to: Annotated[str, typer.Option(help="staging or champion.")] = "champion",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the gates, and change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overrule gates that refuse; needs --why.")
    ] = False,
    why: Annotated[str, typer.Option(help="The reason, kept in ml.alias_history.")] = "",
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Let a version serve, or wait in staging, if every gate lets it pass."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.promotion.promote import promote as ask
        from ml.promotion.render import of_promotion

        with steps.step("Ask the gates") as step:
            result = ask(
                settings,
                version,
                to=to,
                is_dry_run=dry_run,
                is_forced=force,
                why=why,
                progress=step.progress,
            )
            step.outcome = f"{sum(gate.is_passed for gate in result.gates)} of " + (
                f"{len(result.gates)} let version {result.model_version} pass"
            )
        return result, of_promotion(result)

    result = execute(work, project_dir, target, vars, as_json)
    if not result.is_allowed:
        raise typer.Exit(1)


def rollback(
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="A version that has served; the last without it."),
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, kept in ml.alias_history.")] = "",
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Let the champion before this one serve again; --why says the reason."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.promotion.render import of_rollback
        from ml.promotion.rollback import rollback as go_back

        with steps.step("Roll back") as step:
            result = go_back(settings, to=to, why=why)
            step.outcome = f"version {result.to_version}"
        return result, of_rollback(result)

    execute(work, project_dir, target, vars, as_json)


def compare(
    a: Annotated[str, typer.Argument(help="A version's number, or an alias.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Judge two versions on rows that neither was trained on, and recommend one."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.promotion.compare import compare as side_by_side
        from ml.promotion.render import of_comparison

        with steps.step("Compare") as step:
            result = side_by_side(settings, a, b, progress=step.progress)
            step.outcome = f"{result.observations:,} observations"
        return result, of_comparison(result)

    execute(work, project_dir, target, vars, as_json)
