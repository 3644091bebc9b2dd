"""Files that are written under another name first: whose they are, and what killed runs left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def half_path(path: Path) -> Path:
    """Return where this process writes what shall become the file."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished files of runs that were killed, those of processes at work excepted."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        # Engines lay logs of their own beside a file: .wal, -journal.
        process = leftover.name.removeprefix(f".{path.name}.").split(".")[0].split("-")[0]
        if not process.isdigit() or not is_running(int(process)):
            remove(leftover)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def is_running(process: int) -> bool:
    """Return whether a process of this machine is at work, this one excepted."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()
