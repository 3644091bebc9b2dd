"""What every command shares: its options, how it is run, how it ends, how its result is printed."""

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
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console, RenderableType

from ml.errors import HoldfastError, UsageError
from ml.progress import Steps
from ml.settings import Settings, load_settings
from ml.shortage import out_of_memory, shortage

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

HERE = Path(".")


def execute(
    work: Callable[[Settings, Steps], tuple[Any, RenderableType]],
    project_dir: Path,
    target: str | None,
    vars: str,
    as_json: bool,
) -> Any:
    """Do the work of one command, print its result, or one sentence on why there is none.

    Returns the result, for commands whose exit code depends on what was found.
    """
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
        typer.echo(json.dumps(plain(result), allow_nan=False))
    else:
        Console().print(shown)
    return result


def _fail(errors: Console, message: str, exit_code: int, as_json: bool) -> NoReturn:
    errors.print("Error:", style="bold red", end=" ")
    errors.print(message, markup=False, highlight=False)
    if as_json:
        typer.echo(json.dumps({"error": message, "exit_code": exit_code}))
    raise typer.Exit(exit_code)


def _reason(error: Exception, log_path: Path | None) -> str:
    """Return a sentence for an error that nobody foresaw; its traceback goes to the log."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, MemoryError):
        return str(out_of_memory(said))
    folder = log_path.parent.parent if log_path else HERE
    if (short := shortage(folder, said)) is not None:
        return str(short)
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


def plain(value: Any) -> Any:
    """Return a result as what JSON knows."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value


def pairs_of(result: Any) -> RenderableType:
    """Return a result as names and values, one a line."""
    from ml.page import pairs

    return pairs(plain(result))
