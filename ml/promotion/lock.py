"""One promotion at a time, and each of them whole: a lock, and a note of what is under way."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml.errors import HoldfastError
from ml.settings import Settings

_LOCK, _NOTE = "promotion.lock", "promotion.json"


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Let nobody else change which version serves while the block runs.

    The lock is one of SQLite's: it works on every system, and ends with the process that holds it,
    however that ends.

    Raises
    ------
    HoldfastError
        Where another process, or another thread of this one, holds it.
    """
    settings.local_dir.mkdir(parents=True, exist_ok=True)
    path = settings.local_dir / _LOCK
    with contextlib.closing(_connect(path)) as connection:
        try:
            connection.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            raise HoldfastError(
                "Another training or promotion is deciding which version serves; this one has "
                f"changed nothing (lock: {path}). Run it again when the other is done."
            ) from error
        try:
            yield
        finally:
            connection.rollback()


def write_note(settings: Settings, planned: Mapping[str, Any]) -> None:
    """Write down a change before it is made, so that it can be finished after a crash."""
    path = note_path(settings)
    half = path.with_suffix(".half")
    half.write_text(json.dumps(planned, indent=2) + "\n", encoding="utf-8")
    os.replace(half, path)


def read_note(settings: Settings) -> dict[str, Any] | None:
    """Return the change that was under way when something was cut off, or None.

    Raises
    ------
    HoldfastError
        Where the note cannot be read.
    """
    path = note_path(settings)
    if not path.is_file():
        return None
    try:
        note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HoldfastError(
            f"The note of a promotion under way, {path}, cannot be read ({error}). Remove it, see "
            "which version serves (`holdfast promote --dry-run` says), and promote again."
        ) from error
    return note


def remove_note(settings: Settings) -> None:
    """Say that the change is made, or was given up."""
    note_path(settings).unlink(missing_ok=True)


def note_path(settings: Settings) -> Path:
    """Return where the note lies."""
    return settings.local_dir / _NOTE


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise HoldfastError(
            f"Expected to lock {path}, could not: {error}. See that this user may write there."
        ) from error
