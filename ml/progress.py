"""Progress of long work: what the steps report, and how a terminal shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

Progress = Callable[[str, int, int], None]
"""Called with the step in words, how much is done, and how much there is (0: not known)."""


def silent(step: str, done: int, total: int) -> None:
    """Report to nobody."""


def by_share(progress: Progress) -> Callable[[str, float], None]:
    """Return what work reports to that knows its share done, 0 to 1, and not its steps."""
    return lambda step, share: progress(step, round(100 * share), 100)


@dataclass(frozen=True)
class StepTime:
    """One step of a run.

    Attributes
    ----------
    name
        What it does.
    seconds
        How long it took.
    outcome
        What came of it in a few words.
    """

    name: str
    seconds: float
    outcome: str


@dataclass
class Step:
    """A step at work: where it reports, and what it says at its end."""

    progress: Progress
    outcome: str = "done"


class Steps:
    """The steps of one command, in order, shown on a console and remembered with their times."""

    def __init__(self, console: Console) -> None:
        self.times: list[StepTime] = []
        self._console = console

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a bar while the block runs, and one line when it has ended well."""
        started = time.perf_counter()
        bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.fields[step]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}", style="dim"),
            console=self._console,
            transient=True,
            # Where nobody watches, only the line at the end of a step is of use.
            disable=not self._console.is_terminal,
        )
        with bars:
            bar = bars.add_task("", total=None, step=name)

            def report(what: str, done: int, total: int) -> None:
                bars.update(bar, description=what, completed=done, total=total or None)

            step = Step(report)
            yield step
        time_taken = StepTime(name, time.perf_counter() - started, step.outcome)
        self.times.append(time_taken)
        self._console.print(
            f"[green]✓[/] {name} [dim]{step.outcome}, {time_taken.seconds:.1f} s[/]",
            highlight=False,
        )
