"""Audits in several processes: what a process needs to know of the project, and the spreading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from ml.settings import Settings, load_settings

Item = TypeVar("Item")
Result = TypeVar("Result")

_PLACES = ("local_dir", "raw_dir", "target_dir", "profiles_dir", "database")


@dataclass(frozen=True)
class Place:
    """What a process needs to lay out a scratch project of its own.

    Attributes
    ----------
    places
        What of the settings says where things lie.
    folder
        Where scratch projects lie.
    threads
        How many threads each process has; None: as the profile says.
    """

    project_dir: Path
    places: tuple[tuple[str, Any], ...]
    target: str
    vars: tuple[tuple[str, Any], ...]
    folder: Path
    threads: int | None

    @classmethod
    def of(cls, settings: Settings, folder: Path, jobs: int) -> Place:
        """Return the place of a project on which so many processes work."""
        return cls(
            project_dir=settings.project_dir,
            places=tuple((name, getattr(settings, name)) for name in _PLACES),
            target=settings.target,
            vars=tuple(settings.vars.items()),
            folder=folder,
            # Side by side each has a core, and threads would only wait for each other.
            threads=None if jobs == 1 else 1,
        )

    def settings(self) -> Settings:
        """Return the project's settings, read anew."""
        loaded = load_settings(self.project_dir, target=self.target, vars=dict(self.vars))
        return replace(loaded, **dict(self.places))


def spread(run: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Run a function on each item, in this process or in `jobs` others; yield as they end."""
    if jobs == 1:
        yield from map(run, items)
        return
    # A process started anew has no open warehouse and no threads of ours.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            for done in as_completed([pool.submit(run, item) for item in items]):
                yield done.result()
        except BaseException:
            # One has failed, or somebody has had enough: what has not begun need not.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
