"""The ``holdfast`` command: reads words, calls one function, prints what came of it."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import RenderableType

from ml.audit.command import app as audit_app
from ml.choosing.command import Families, ablate, backtest
from ml.explaining.command import explain
from ml.frozen.command import freeze
from ml.peers.command import peers
from ml.progress import Steps, by_share
from ml.promotion import command as promotion
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute, pairs_of

app = typer.Typer(
    name="holdfast",
    help="Predict which customers will leave, when, why and what to do, in your own warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit_app, name="audit")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {_version()}")
        raise typer.Exit()


@app.callback()
def _holdfast(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    demo: Annotated[
        bool, typer.Option("--demo", help="Make up a demo company where there is no raw data yet.")
    ] = False,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Do everything in order: data, dbt, train, score, marts; what is done already stays."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.run import run as run_all
        from ml.run_page import render

        result = run_all(settings, steps, is_demo=demo)
        return result, render(settings, result)

    execute(work, project_dir, target, vars, as_json)


@app.command()
def load(
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Copy the raw files into tables of a server's warehouse; files it has already stay."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.load import load as load_files

        with steps.step("Load the raw files") as step:
            loaded = load_files(settings, progress=step.progress)
            step.outcome = f"{loaded.rows:,} rows" if loaded.is_new else "nothing changed"
        return loaded, pairs_of(
            {
                **{
                    each.entity: f"{each.rows:,} rows" if each.is_new else "as it was"
                    for each in loaded.entities
                },
                **dict.fromkeys(loaded.removed, "removed: no files"),
            }
        )

    execute(work, project_dir, target, vars, as_json)


@app.command()
def simulate(
    customers: Annotated[
        int | None, typer.Option(min=1, help="How many customers; demo.customers without it.")
    ] = None,
    months: Annotated[
        int | None, typer.Option(min=1, help="How many months; demo.months without it.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Where chance starts from; seed without it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the raw files; the project's without it.")
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Make up a demo company: the seven inputs as Parquet, and beside them the truth."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.simulate import simulate as make_up

        with steps.step("Make up a demo company") as step:
            made = make_up(
                customers=settings.demo.customers if customers is None else customers,
                months=settings.demo.months if months is None else months,
                seed=settings.seed if seed is None else seed,
                out=settings.raw_dir if out is None else out,
                progress=by_share(step.progress),
            )
        return made, pairs_of(made)

    execute(work, project_dir, target, vars, as_json)


@app.command()
def train(
    training_set: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A frozen set to train on; the warehouse's rows without."),
    ] = None,
    families: Families = None,
    tune: Annotated[
        int | None,
        typer.Option(min=1, help="How many settings of each family to try; train.tune_trials."),
    ] = None,
    all_rows: Annotated[
        bool | None,
        typer.Option(
            "--all-rows/--no-all-rows",
            help="Fit XGBoost on all rows on Spark's executors; train.all_rows.",
        ),
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Train a model on the labelled past, judge it beside its baselines, and register it."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.train import train as fit
        from ml.train_page import render

        with steps.step("Train") as step:
            result = fit(
                settings,
                training_set=training_set,
                families=families,
                tune_trials=tune,
                all_rows=all_rows,
                progress=step.progress,
            )
        return result, render(result)

    execute(work, project_dir, target, vars, as_json)


app.command()(backtest)
app.command()(ablate)
app.command()(freeze)
promotion.add_to(app)
app.command()(peers)


@app.command()
def score(
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The as-of date; the newest without."),
    ] = None,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Score the customers of one as-of date with the champion, and say why."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.score import score as predict

        with steps.step("Score") as step:
            result = predict(
                settings, as_of=as_of.date() if as_of else None, progress=step.progress
            )
        return result, pairs_of(result)

    execute(work, project_dir, target, vars, as_json)


app.command()(explain)


@app.command()
def evaluate(
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Judge the champion again on the dates it never trained on."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.evaluate import evaluate as judge

        with steps.step("Evaluate") as step:
            result = judge(settings, progress=step.progress)
        return result, pairs_of(result)

    execute(work, project_dir, target, vars, as_json)


@app.command()
def publish(
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Copy the marts into marts.duckdb, which readers open while the warehouse is at work."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.publish import publish as copy_marts

        with steps.step("Publish the marts") as step:
            result = copy_marts(settings, progress=step.progress)
        return result, pairs_of(result)

    execute(work, project_dir, target, vars, as_json)


def main() -> NoReturn:
    """Run the command line; the console script ``holdfast``."""
    app()
    raise SystemExit(0)


def _version() -> str:
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "(not installed)"
