"""Readers of the published marts, each a process of its own, as analysts are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Read:
    """One opening of the file and what was seen in it.

    Attributes
    ----------
    started, answered
        Seconds of the clock that all processes share: before the file was opened, and when the
        first query had its answer.
    file
        Which file it was, by its number on the disk.
    trouble
        What did not fit together, or why it could not be read; empty where all is well.
    """

    started: float
    answered: float
    file: int
    trouble: tuple[str, ...]

    @property
    def wait(self) -> float:
        """Seconds until the first answer."""
        return self.answered - self.started


@dataclass
class Reads:
    """What readers read, once they have ended: each one's reads in order."""

    by_reader: list[list[Read]] = field(default_factory=list)

    @property
    def all(self) -> list[Read]:
        """The reads of all."""
        return [read for own in self.by_reader for read in own]


@contextmanager
def readers(path: Path, look: str, *, count: int, pause: float) -> Iterator[Reads]:
    """Let readers open, ask and close again and again while the block runs; then tell their reads.

    Parameters
    ----------
    look
        Asked of the same file after the first answer: a query whose rows, of one text each, tell
        what does not fit together.
    pause
        Seconds that a reader thinks between two reads.
    """
    # Not forked from here: a fork of a process with DuckDB's threads may hang.
    clean = get_context("forkserver")
    stop, ready = clean.Event(), clean.Semaphore(0)
    ends: list[tuple[Any, Any]] = []
    for _ in range(count):
        receiver, sender = clean.Pipe(duplex=False)
        process = clean.Process(target=_read, args=(path, look, pause, stop, ready, sender))
        process.start()
        sender.close()
        ends.append((process, receiver))
    found = Reads()
    for _ in range(count):
        assert ready.acquire(timeout=120), "a reader did not begin to read"
    try:
        yield found
    finally:
        stop.set()
        for process, receiver in ends:
            found.by_reader.append(receiver.recv())
            process.join()


def troubles(reads: Sequence[Read]) -> list[str]:
    """Return each trouble that any reader had, once."""
    return sorted({trouble for read in reads for trouble in read.trouble})


def read_once(path: Path, look: str) -> Read:
    """Open a file, ask it, look at what else it says, and close it."""
    started = time.monotonic()
    answered, file = started, 0
    try:
        with duckdb.connect(str(path), read_only=True) as marts:
            marts.execute("select count(*) from retention_worklist").fetchall()
            answered = time.monotonic()
            file = path.stat().st_ino
            trouble = [text for (text,) in marts.execute(look).fetchall()]
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is looked for
        trouble = [f"{type(error).__name__}: {error}"]
    return Read(started, answered, file, tuple(trouble))


def _read(path: Path, look: str, pause: float, stop: Any, ready: Any, sender: Any) -> None:
    reads: list[Read] = []
    while not stop.is_set():
        reads.append(read_once(path, look))
        if len(reads) == 1:
            ready.release()
        time.sleep(pause)
    sender.send(reads)
