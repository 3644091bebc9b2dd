"""The ``holdfast`` command: reads words, calls one function, prints what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console, RenderableType

from ml.errors import HoldfastError, UsageError
from ml.progress import Steps, by_share
from ml.settings import Settings, load_settings

app = typer.Typer(
    name="holdfast",
    help="Predict which customers will leave, when, why and what to do, in your own warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ProjectDir = Annotated[
    Path, typer.Option("--project-dir", help="The folder with the dbt_project.yml.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="The dbt target; the profile's default without it.")
]
Vars = Annotated[
    str, typer.Option("--vars", help="dbt vars, as a YAML or JSON mapping: '{cadence: week}'.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object; logs go to standard error.")
]

_HERE = Path(".")


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
    project_dir: ProjectDir = _HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Do everything in order: data, dbt, train, score, marts; what is done already stays."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.run import run as run_all
        from ml.summary import render

        result = run_all(settings, steps, is_demo=demo)
        return result, render(settings, result)

    _execute(work, project_dir, target, vars, as_json)


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
    project_dir: ProjectDir = _HERE,
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
        return made, _pairs(made)

    _execute(work, project_dir, target, vars, as_json)


@app.command()
def train(
    project_dir: ProjectDir = _HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Train a model on the labelled past, judge it beside its baselines, and register it."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.train import train as fit

        with steps.step("Train") as step:
            result = fit(settings, progress=step.progress)
        return result, _pairs(result)

    _execute(work, project_dir, target, vars, as_json)


@app.command()
def score(
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The as-of date; the newest without."),
    ] = None,
    project_dir: ProjectDir = _HERE,
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
        return result, _pairs(result)

    _execute(work, project_dir, target, vars, as_json)


@app.command()
def evaluate(
    project_dir: ProjectDir = _HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Judge the champion again on the dates it never trained on."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.train import evaluate as judge

        with steps.step("Evaluate") as step:
            result = judge(settings, progress=step.progress)
        return result, _pairs(result)

    _execute(work, project_dir, target, vars, as_json)


@app.command()
def publish(
    project_dir: ProjectDir = _HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Copy the marts into marts.duckdb, which readers open while the warehouse is at work."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        from ml.publish import publish as copy_marts

        with steps.step("Publish the marts") as step:
            result = copy_marts(settings, progress=step.progress)
        return result, _pairs(result)

    _execute(work, project_dir, target, vars, as_json)


def main() -> NoReturn:
    """Run the command line; the console script ``holdfast``."""
    app()
    raise SystemExit(0)


def _execute(
    work: Callable[[Settings, Steps], tuple[Any, RenderableType]],
    project_dir: Path,
    target: str | None,
    vars: str,
    as_json: bool,
) -> None:
    """Do the work of one command and print its result, or one sentence on why there is none."""
    errors = Console(stderr=True, soft_wrap=True)
    log_path: Path | None = None
    try:
        settings = load_settings(project_dir, target=target, vars=_mapping(vars))
        log_path = settings.log_dir / "holdfast.log"
        _keep_quiet(log_path)
        # What libraries print is no part of the result.
        with _interruptible(), contextlib.redirect_stdout(sys.stderr):
            result, shown = work(settings, Steps(errors))
    except HoldfastError as error:
        _fail(errors, str(error), error.exit_code, as_json)
    except KeyboardInterrupt:
        _fail(
            errors,
            "Interrupted. What was finished stays, nothing is half-written; the same command goes "
            "on from there.",
            HoldfastError.exit_code,
            as_json,
        )
    except Exception as error:  # noqa: BLE001 - the person gets a sentence, the log the rest
        reason = _reason(error, log_path)
        _fail(errors, reason, HoldfastError.exit_code, as_json)
    if as_json:
        typer.echo(json.dumps(_plain(result), allow_nan=False))
    else:
        Console().print(shown)


def _fail(errors: Console, message: str, exit_code: int, as_json: bool) -> NoReturn:
    errors.print("Error:", style="bold red", end=" ")
    errors.print(message, markup=False, highlight=False)
    if as_json:
        typer.echo(json.dumps({"error": message, "exit_code": exit_code}))
    raise typer.Exit(exit_code)


def _reason(error: Exception, log_path: Path | None) -> str:
    """Return a sentence for an error that nobody foresaw; its traceback goes to the log."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return (
            f"The system refused: {error.strerror or error}{where}. See that the disk has space "
            "and that this user may write there, then run again; what was there before is still "
            "whole."
        )
    with contextlib.suppress(OSError):
        logging.getLogger("holdfast").error("unforeseen", exc_info=error)
    return f"Something that Holdfast did not foresee: {said}. The whole story is in {log_path}."


def _keep_quiet(log_path: Path) -> None:
    """Send what libraries log and warn to the file: the terminal shows steps and results."""
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "0")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.captureWarnings(True)
    # A log that cannot be written, on a full disk say, is no second error.
    logging.raiseExceptions = False
    handler: logging.Handler
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log_path, encoding="utf-8")
    except OSError:
        # The command itself will say so, where it matters.
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a request to end (SIGTERM) unwind as Ctrl-C does, so nothing is left half-written."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError:
        given = None
    if not isinstance(given, dict):
        raise UsageError(
            f"--vars wants a YAML or JSON mapping, such as '{{cadence: week}}'; got {text!r}."
        )
    return given


def _plain(value: Any) -> Any:
    """Return a result as what JSON knows."""
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value


def _pairs(result: Any) -> RenderableType:
    from ml.summary import pairs

    return pairs(_plain(result))


def _version() -> str:
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "(not installed)"
