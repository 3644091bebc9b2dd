"""dbt, run inside this process: progress as it goes, and failures as one clear sentence."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.errors import HoldfastError
from ml.profile import SPARKS, credentials, engine_of, environment
from ml.progress import Progress
from ml.settings import Settings
from ml.warehouse import failure_of, open_warehouse

LOG_NAME = "dbt.log"

# The marts, and the tests of what ml/ writes, come after scoring; all else before. (Models other
# than marts may read it too: gold keeps the dates that were scored.)
AFTER_SCORING = ("holdfast.marts+", "source:holdfast.ml+1,resource_type:test")

ENGINE_FAULT = "database has been invalidated because of a previous fatal error"

_WITHOUT_WAREHOUSE = ("parse", "deps", "list")

_FAILED = ("error", "fail", "runtime error", "partial success")
# "Compilation Error in model gold_x (models/gold/gold_x.sql)", "Parsing Error", ...
_HEADER = re.compile(r"(Encountered an error:|\w+( \w+)* Error( in .*)?)")
_MESSAGE_END = re.compile(r"$|> (in|called by) macro|compiled (code|sql) at|LINE \d+:", re.I)
# dbt repeats these of the nodes' own results, which are read from there.
_RESULT_EVENTS = re.compile(r"Log\w*Result|RunResult\w*|CheckNodeTestFailure|NoNodes\w*")


@dataclass(frozen=True)
class DbtResult:
    """What one invocation of dbt did.

    Attributes
    ----------
    nodes
        How many models, seeds, snapshots and tests ran.
    seconds
        How long it took.
    warnings
        Tests that warned and what dbt itself warns of, one sentence each.
    notes
        What the models reported while they ran, such as the dates that they rebuilt.
    """

    nodes: int
    seconds: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class _Listener:
    """Turns dbt's events into progress, warnings and notes; each may come twice."""

    progress: Progress | None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __call__(self, event: Any) -> None:
        name, message = event.info.name, " ".join(event.info.msg.split())
        if name == "LogStartLine" and self.progress is not None:
            node = event.data.node_info.node_name
            self.progress(node, event.data.index - 1, event.data.total)
        elif name == "JinjaLogInfo":
            self.notes.append(message)
        elif event.info.level == "warn" and not _RESULT_EVENTS.fullmatch(name):
            self.warnings.append(message)


def run_dbt(
    settings: Settings,
    command: Sequence[str],
    *,
    progress: Progress | None = None,
    manifest: Any = None,
    is_brief: bool = False,
) -> DbtResult:
    """Run one dbt command in the project, in this process, and leave the warehouse closed.

    Parameters
    ----------
    settings
        The project, the target and the vars.
    command
        dbt's own words, such as ``["build", "--select", "gold_observations"]``.
    progress
        Called with the node that starts, how many have started before it, and how many there are.
    manifest
        What `parse` gave for this project, which spares parsing it again. It holds for any vars
        that change neither the graph nor the configuration of nodes.
    is_brief
        Whether dbt writes warnings only to its log and leaves no artifacts, which takes up to half
        the time of a small build.

    Raises
    ------
    HoldfastError
        Where dbt fails: which node, why, and what to do next. The whole story is in the log.
    """
    started = time.perf_counter()
    listener = _Listener(progress)
    outcome = _invoke(settings, command, listener, manifest, is_brief=is_brief)
    results = list(getattr(outcome.result, "results", None) or [])
    if not outcome.success:
        raise _failure(settings, outcome.exception, results)
    for result in results:
        if str(result.status) == "warn":
            listener.warnings.append(f"{result.node.name}: {_sentence(result.message)}")
    return DbtResult(
        nodes=len(results),
        seconds=time.perf_counter() - started,
        warnings=tuple(dict.fromkeys(listener.warnings)),
        notes=tuple(dict.fromkeys(listener.notes)),
    )


def parse(settings: Settings) -> Any:
    """Return the project's manifest, for several runs of dbt that differ in little.

    Raises
    ------
    HoldfastError
        Where the project cannot be parsed.
    """
    outcome = _invoke(settings, ["parse"], _Listener(None), None)
    if not outcome.success:
        raise _failure(settings, outcome.exception, [])
    return outcome.result


def warehouse_of_profile(settings: Settings) -> Path | None:
    """Return the file that the project's profile opens; None where it opens no DuckDB file."""
    path = getattr(credentials(settings), "path", None)
    return None if path is None else Path(path).resolve()


def install_packages(settings: Settings) -> None:
    """Run ``dbt deps`` where the project names packages that are not there yet."""
    named = [settings.project_dir / name for name in ("packages.yml", "dependencies.yml")]
    if (
        any(path.is_file() for path in named)
        and not (settings.project_dir / "dbt_packages").is_dir()
    ):
        run_dbt(settings, ["deps"])


def build(
    settings: Settings,
    *,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> DbtResult:
    """Run ``dbt build``: models, seeds, snapshots and their data tests, in order."""
    settings.local_dir.mkdir(parents=True, exist_ok=True)
    # Whether the file can be had is known at once here; dbt would find out after parsing.
    open_warehouse(settings).close()
    # Unit tests prove the models' logic on made-up rows; no data of a run can change their outcome.
    # And what follows a failure would be thrown away: better to hear of it at once.
    command = ["build", "--fail-fast", "--exclude-resource-type", "unit_test"]
    if select:
        command += ["--select", *select]
    if exclude:
        command += ["--exclude", *exclude]
    try:
        return run_dbt(settings, command, progress=progress)
    except HoldfastError as failure:
        if ENGINE_FAULT not in str(failure):
            raise
        # A fault inside DuckDB 2.0 (seen once in its dictionary cache of hash joins, not again on
        # the same data) closes the database. A build takes up where it stopped, so it is
        # tried once more.
        return run_dbt(settings, command, progress=progress)


def _invoke(
    settings: Settings,
    command: Sequence[str],
    listener: _Listener,
    manifest: Any,
    *,
    is_brief: bool = False,
) -> Any:
    # Importing dbt takes over a second, which `holdfast --help` need not wait for.
    from dbt.cli.main import dbtRunner

    settings.log_dir.mkdir(parents=True, exist_ok=True)
    if engine_of(settings) in SPARKS and command[0] not in _WITHOUT_WAREHOUSE:
        # dbt takes up whatever session this process has; it has to be this project's.
        open_warehouse(settings).close()
    with environment(settings), contextlib.chdir(settings.project_dir):
        try:
            runner = dbtRunner(manifest=manifest, callbacks=[listener])
            outcome = runner.invoke([*command, *_arguments(settings, is_brief=is_brief)])
        finally:
            _release_warehouse()
    if _is_interrupt(outcome.exception):
        raise KeyboardInterrupt from outcome.exception
    return outcome


def _arguments(settings: Settings, *, is_brief: bool) -> list[str]:
    arguments = ["--project-dir", str(settings.project_dir), "--target", settings.target]
    arguments += ["--profiles-dir", str(settings.profiles_dir)]
    if settings.vars:
        arguments += ["--vars", json.dumps(dict(settings.vars), default=str)]
    # Standard output belongs to the command line; everything goes to the file.
    arguments += ["--log-path", str(settings.log_dir), "--log-level", "none", "--no-print"]
    arguments += ["--no-use-colors", "--no-use-colors-file"]
    if is_brief:
        return [*arguments, "--log-level-file", "warn", "--no-write-json"]
    return [*arguments, "--log-level-file", "debug"]


def _release_warehouse() -> None:
    """Close the database that dbt-duckdb keeps open for the next invocation in this process."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()


def _is_interrupt(exception: BaseException | None) -> bool:
    """Return whether an interrupt lies behind what dbt gave up with.

    Stopping the queries at work may fail in its own way, which then hides the interrupt.
    """
    return any(isinstance(one, KeyboardInterrupt) for one in _chain(exception))


def _chain(exception: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, then what lies behind it."""
    while exception is not None:
        yield exception
        exception = exception.__cause__ or exception.__context__


def _failure(
    settings: Settings, exception: BaseException | None, results: Sequence[Any]
) -> HoldfastError:
    """Return why dbt failed, in words for the person who ran it."""
    # In the order in which they failed; what a failure stopped comes after it.
    failed = [result for result in results if str(result.status) in _FAILED]
    if not failed:
        # After the first failure dbt cancels the other queries. One that ends by itself just then
        # makes that fail, and dbt gives up with this instead of the results.
        results = [getattr(one, "result", None) for one in _chain(exception)]
        failed = [result for result in results if str(getattr(result, "status", "")) in _FAILED]
    texts = [str(result.message) for result in failed] + ([str(exception)] if exception else [])
    for text in texts:
        if (known := failure_of(settings, text)) is not None:
            return known
    log_path = settings.log_dir / LOG_NAME
    if not failed:
        return HoldfastError(
            f"dbt could not start: {_sentence(str(exception))} Mend what it names and run again; "
            f"the whole story is in {log_path}."
        )
    first = failed[0]
    sentence = _sentence(str(first.message))
    node = first.node
    # A macro that refuses says itself what came and what to do next.
    if str(first.message).lstrip().startswith("Compilation Error"):
        return HoldfastError(
            f"{sentence} dbt stopped at the {node.resource_type} {node.name}; the whole story is "
            f"in {log_path}."
        )
    if node.resource_type == "unit_test":
        return HoldfastError(
            f"The unit test {node.name} ({node.original_file_path}) failed: {sentence} "
            f"The rows side by side are in {log_path}."
        )
    if node.resource_type == "test":
        about = f" It claims: {_sentence(node.description)}" if node.description else ""
        compiled = getattr(node, "compiled_path", None)
        look = f" Its query, {_shown(compiled)}, shows the rows." if compiled else ""
        return HoldfastError(f"The test {node.name} failed: {sentence}{about}{look}")
    return HoldfastError(
        f"The {node.resource_type} {node.name} ({node.original_file_path}) failed: {sentence} "
        f"The whole story is in {log_path}."
    )


def _shown(path: str) -> str:
    """Return a path as short as it can be shown from here."""
    with contextlib.suppress(ValueError):
        return str(Path(path).resolve().relative_to(Path.cwd()))
    return path


def _sentence(message: str | None) -> str:
    """Return the message itself: without dbt's header before it and the macro stack after it."""
    lines = [line.strip() for line in (message or "no message").strip().splitlines()]
    while len(lines) > 1 and _HEADER.fullmatch(lines[0]):
        lines = lines[1:]
    kept: list[str] = []
    for line in lines:
        if kept and _MESSAGE_END.match(line):
            break
        if line:
            kept.append(line)
    sentence = " ".join(kept).rstrip(":")
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
