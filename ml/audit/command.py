"""The commands of ``holdfast audit``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.errors import UsageError
from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute

app = typer.Typer(
    name="audit",
    help="Prove that gold has not seen the future, and that every build agrees with every other.",
    no_args_is_help=True,
)


@app.callback()
def _audit() -> None:
    pass


@app.command()
def replay(
    as_of: Annotated[
        list[datetime] | None,
        typer.Option(
            "--as-of", formats=["%Y-%m-%d"], help="An as-of date to replay; may come repeatedly."
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(help="Without --as-of: how many as-of dates, evenly over all.")
    ] = 24,
    jobs: Annotated[int, typer.Option(help="Processes that work side by side.")] = 1,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Rebuild gold from the data cut at each as-of date, and compare every cell."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.audit.render import of_replay
        from ml.audit.replay import replay as rebuild

        with steps.step("Replay") as step:
            result = rebuild(
                settings,
                as_of=[each.date() for each in as_of or ()],
                sample=sample,
                jobs=jobs,
                progress=step.progress,
            )
            step.outcome = f"{result.cells:,} cells compared"
        return result, of_replay(result)

    _end(execute(work, project_dir, target, vars, as_json))


@app.command()
def arrivals(
    schedules: Annotated[int, typer.Option(help="How many histories of arrival.")] = 20,
    customers: Annotated[int, typer.Option(help="How many customers' rows a history has.")] = 12,
    seed: Annotated[int, typer.Option(help="Of the first history; the next have the next.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes that work side by side.")] = 1,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Deliver rows in random batches; incremental builds must end where one full build ends."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.audit.arrivals import arrivals as deliver
        from ml.audit.render import of_arrivals

        with steps.step("Arrivals") as step:
            result = deliver(
                settings,
                schedules=schedules,
                customers=customers,
                seed=seed,
                jobs=jobs,
                progress=step.progress,
            )
            step.outcome = f"{result.builds:,} builds"
        return result, of_arrivals(result)

    _end(execute(work, project_dir, target, vars, as_json))


@app.command()
def fingerprint(
    customers: Annotated[int, typer.Option(help="How many customers' rows are built.")] = 400,
    seed: Annotated[int, typer.Option(help="Draws the customers and the dirt.")] = 0,
    way: Annotated[
        list[str] | None,
        typer.Option(
            "--way",
            help="Only ways with this in their name, such as 'little memory', against the first; "
            "may come repeatedly.",
        ),
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Build the same rows in many ways; silver and gold must be the same each time."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.audit import fingerprint as ways_to_build
        from ml.audit.render import of_fingerprint

        ways = ways_to_build.named(way or [])
        with steps.step("Fingerprint") as step:
            result = ways_to_build.fingerprint(
                settings,
                customers=customers,
                seed=seed,
                configurations=ways,
                progress=step.progress,
            )
            step.outcome = f"{len(ways)} configurations"
        return result, of_fingerprint(result)

    _end(execute(work, project_dir, target, vars, as_json))


@app.command()
def mutants(
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A mutant of the zoo; may come repeatedly.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Run all that may kill a mutant, not until the first.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Mutants tried side by side.")] = 1,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Put known leaks into copies of the project; the audits and tests must notice each."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.audit.mutants import mutants as try_all
        from ml.audit.render import of_mutants

        with steps.step("Mutants") as step:
            result = try_all(
                settings, names=name or (), every=every, jobs=jobs, progress=step.progress
            )
            step.outcome = f"{len(result.trials)} tried"
        return result, of_mutants(result)

    _end(execute(work, project_dir, target, vars, as_json))


@app.command()
def probes(
    file: Annotated[
        Path | None, typer.Option(help="A CSV or Parquet file; without it gold.training_set.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="With --file: the column to be predicted. Without: the dbt target."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="With --file: the column with the customer.")
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="With --file: the column with the day of the row.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="A column found to be honest; may come repeatedly.")
    ] = None,
    calibrate: Annotated[
        int, typer.Option(help="How many shuffles of the labels to measure false alarms on.")
    ] = 0,
    project_dir: ProjectDir = HERE,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Look for columns of a training set that know too much of the target."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        if file is None and (id_column or date):
            raise UsageError("--id and --date name columns of a file: give --file too.")
        if file is not None and target is None:
            raise UsageError(f"--target names the column of {file} to be predicted; none came.")
        from ml.audit.probes.page import of_probes
        from ml.audit.probes.run import audit_file, audit_training_set

        with steps.step("Probe") as step:
            shared: dict[str, Any] = {
                "shuffles": calibrate,
                "accepted": accept or (),
                "progress": step.progress,
            }
            if file is None or target is None:
                result = audit_training_set(settings, **shared)
            else:
                result = audit_file(
                    settings, file, target=target, id_column=id_column, date=date, **shared
                )
            step.outcome = f"{len(result.table.columns)} columns probed"
        return result, of_probes(result)

    _end(execute(work, project_dir, target if file is None else None, vars, as_json))


@app.command()
def receipt(
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Hold what careless ways of measuring claim against what the model then achieves."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.audit.receipt import receipt as measure
        from ml.audit.receipt_page import of_receipt

        with steps.step("Receipt") as step:
            result = measure(settings, progress=step.progress)
            step.outcome = f"{len(result.ways)} ways of measuring"
        return result, of_receipt(result)

    execute(work, project_dir, target, vars, as_json)


def _end(result: Any) -> None:
    """End with exit code 1 where an audit is red."""
    if not result.is_green:
        raise typer.Exit(1)
