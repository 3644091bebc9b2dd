"""The comparison: first that all agree, then everyone in turn, each as a whole process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from bench.agreement import Agreement, compare
from bench.contenders import ALL, HOLDFAST, LIMIT, Contender, environment, variables, versions
from bench.inputs import MODEL, observations, prepare, rows
from bench.places import ROOT, Places, settings_in
from bench.process import Usage, measure
from bench.ratios import Spread, ratios
from bench.sizes import Size
from bench.work import COLUMNS
from ml.errors import HoldfastError

BUILD = "dbt_build"
LIMIT_MARK = 1.5
Say = Callable[[str], None]


@dataclass
class Entry:
    """What came of one contender.

    Attributes
    ----------
    problem
        Why it has no figures: it could not be installed, failed, or came to other numbers.
    """

    name: str
    title: str
    versions: list[str] = field(default_factory=list)
    observations: int = 0
    agreement: Agreement | None = None
    problem: str | None = None
    usages: list[Usage] = field(default_factory=list)


def contest(places: Places, size: Size, only: Sequence[str], say: Say) -> Iterator[dict[str, Any]]:
    """Run the comparison and yield it after every round, in a form that JSON can hold."""
    say("Making the inputs")
    company = prepare(places, size)
    wanted = [one for one in ALL if not only or one.name in only or one in (HOLDFAST, LIMIT)]
    state = _State(places)
    # The limit first: the others are held against it.
    for contender in sorted(wanted, key=lambda one: one is not LIMIT):
        if not contender.is_slow:
            say(f"Checking {contender.title}")
            _check(contender, state)
    if not only or BUILD in only:
        say("Checking dbt build")
        _check_build(company, state)
    for number in range(1, size.rounds + 1):
        say(f"Round {number} of {size.rounds}")
        taken = {name: _timed(state.entries[name], once, say) for name, once in state.ready()}
        state.rounds.append(taken)
        yield state.found()
    for contender in wanted:
        if contender.is_slow:
            taken = {HOLDFAST.name: _timed(state.entries[HOLDFAST.name], state.ours, say)}
            usage = _check(contender, state)
            if usage is not None:
                taken[contender.name] = usage
                _say_usage(contender.title, usage, say)
            state.rounds.append(taken)
            yield state.found()


@dataclass
class _State:
    """How far the comparison has come."""

    places: Places
    entries: dict[str, Entry] = field(default_factory=dict)
    commands: dict[str, Callable[[], Usage]] = field(default_factory=dict)
    rounds: list[dict[str, Usage]] = field(default_factory=list)

    def ready(self) -> Iterator[tuple[str, Callable[[], Usage]]]:
        """Yield who came to the right numbers, and how to run it."""
        yield from self.commands.items()

    @property
    def ours(self) -> Callable[[], Usage]:
        """Return how Holdfast's own SQL is run."""
        return self.commands[HOLDFAST.name]

    def found(self) -> dict[str, Any]:
        """Return everything so far, in a form that JSON can hold."""
        for name, entry in self.entries.items():
            entry.usages = [taken[name] for taken in self.rounds if name in taken]
        whole = observations(self.places.inputs)
        return {
            "rounds": len(self.rounds),
            "rows": rows(self.places.inputs),
            "sampled_rows": rows(self.places.sampled),
            "contenders": [_as_json(entry) for entry in self.entries.values()],
            "ratios": [asdict(one) for one in _ratios(self.entries, self.rounds, whole)],
        }


@dataclass(frozen=True)
class Ratio:
    """How many times as much as `base` a contender takes, against its mark.

    Attributes
    ----------
    mark
        None where none is set.
    is_met
        By the wall clock's median.
    """

    name: str
    base: str
    wall: Spread
    cpu: Spread
    mark: float | None
    is_met: bool | None


def _ratios(
    entries: Mapping[str, Entry], rounds: Sequence[Mapping[str, Usage]], whole: int
) -> list[Ratio]:
    marks = {one.name: one.mark for one in ALL}
    found = []
    for name, entry in entries.items():
        if not entry.usages or name == HOLDFAST.name:
            continue
        scale = whole / entry.observations
        base = HOLDFAST.name
        wall = ratios(rounds, name, base, "wall", scale)
        cpu = ratios(rounds, name, base, "cpu", scale)
        mark = marks.get(name)
        found.append(
            Ratio(name, base, wall, cpu, mark, None if mark is None else wall.median >= mark)
        )
    if entries[HOLDFAST.name].usages and entries[LIMIT.name].usages:
        wall = ratios(rounds, HOLDFAST.name, LIMIT.name, "wall")
        cpu = ratios(rounds, HOLDFAST.name, LIMIT.name, "cpu")
        found.append(
            Ratio(HOLDFAST.name, LIMIT.name, wall, cpu, LIMIT_MARK, wall.median <= LIMIT_MARK)
        )
    return found


def _check(contender: Contender, state: _State) -> Usage | None:
    """Install a contender, run it once, and hold its numbers against the limit's.

    Returns what it took where the numbers are right, None otherwise.
    """
    places = state.places
    inputs = places.sampled if contender.is_sampled else places.inputs
    entry = state.entries[contender.name] = Entry(
        contender.name, contender.title, observations=observations(inputs)
    )
    try:
        python = environment(contender, places)
        entry.versions = versions(contender, python)
    except subprocess.CalledProcessError as error:
        entry.problem = f"could not be installed: {_end(error.stderr)}"
        return None

    def once() -> Usage:
        return _run(contender.name, contender.script, python, inputs, places)

    try:
        reference = LIMIT.name
        if contender.is_sampled:
            # The limit on the same fewer customers.
            reference = f"{LIMIT.name}_sampled"
            _run(reference, LIMIT.script, environment(LIMIT, places), inputs, places)
        usage = once()
        entry.agreement = compare(_out(places, contender.name), _out(places, reference))
    except HoldfastError as error:
        entry.problem = f"failed: {_end(str(error))}"
        return None
    if entry.agreement.different:
        entry.problem = f"{entry.agreement.different:,} cells differ from the limit's"
        return None
    if not contender.is_slow:
        state.commands[contender.name] = once
    return usage


def _check_build(company: Path, state: _State) -> None:
    """Let dbt itself build the model in the company's warehouse, with the default windows."""
    places, settings = state.places, settings_in(company)
    entry = state.entries[BUILD] = Entry(
        BUILD,
        "Holdfast: dbt build of the model, with its tests",
        observations=observations(places.inputs),
    )
    command = ["-m", "dbt.cli.main", "build", "--full-refresh", "--select", MODEL]
    command += ["--exclude-resource-type", "unit_test", "--project-dir", str(ROOT)]
    command += ["--profiles-dir", str(ROOT), "--log-path", str(settings.log_dir)]
    place = {
        "HOLDFAST_LOCAL": str(company),
        "DBT_TARGET_PATH": str(settings.target_dir),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    python = str(environment(HOLDFAST, places))

    def once() -> Usage:
        log = places.folder / "logs" / f"{BUILD}.txt"
        return measure([python, *command], environment=place, log=log, cwd=ROOT)

    try:
        once()
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as warehouse:
            out = _out(places, BUILD)
            warehouse.execute(
                f"copy (select {', '.join(COLUMNS)} from gold.activity_windows) "
                f"to '{out}' (format parquet)"
            )
        entry.agreement = compare(out, _out(places, LIMIT.name))
    except HoldfastError as error:
        entry.problem = f"failed: {_end(str(error))}"
        return
    if entry.agreement.different:
        entry.problem = f"{entry.agreement.different:,} cells differ from the limit's"
        return
    entry.versions = versions(HOLDFAST, Path(python))
    state.commands[BUILD] = once


def _timed(entry: Entry, once: Callable[[], Usage], say: Say) -> Usage:
    usage = once()
    _say_usage(entry.title, usage, say)
    return usage


def _say_usage(title: str, usage: Usage, say: Say) -> None:
    say(
        f"{title}: {usage.wall:.1f} s, processor {usage.cpu:.1f} s, {usage.peak_mb:,.0f} MB at most"
    )


def _run(name: str, script: Path, python: Path, inputs: Path, places: Places) -> Usage:
    scratch, out = places.folder / "scratch" / name, _out(places, name)
    for old in (scratch, out):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    scratch.mkdir(parents=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(script)]
    for option, path in (
        ("activity", inputs / "activity.parquet"),
        ("observations", inputs / "observations.parquet"),
        ("out", out),
        ("scratch", scratch),
    ):
        command += [f"--{option}", str(path)]
    log = places.folder / "logs" / f"{name}.txt"
    usage = measure(command, environment=variables(places), log=log, cwd=scratch)
    shutil.rmtree(scratch)
    return usage


def _out(places: Places, name: str) -> Path:
    return places.folder / "out" / f"{name}.parquet"


def _end(text: str) -> str:
    return " ".join(text.split())[-300:]


def _as_json(entry: Entry) -> dict[str, Any]:
    found = asdict(entry)
    for figure in ("wall", "cpu", "peak_mb"):
        values = [getattr(usage, figure) for usage in entry.usages]
        found[figure] = asdict(Spread.of(values)) if values else None
    return found
