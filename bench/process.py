"""Whole processes: run one, and take what the operating system counted for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml.errors import HoldfastError

_LAUNCHER = Path(__file__).with_name("launch.py")
_TAIL = 2_000


@dataclass(frozen=True)
class Usage:
    """What one process took, with the children that it waited for.

    Attributes
    ----------
    wall, cpu
        Seconds by the clock, and of processor time (user and system).
    peak_mb
        The most memory that one process of them held at once, in MB of 1,000,000 bytes.
    """

    wall: float
    cpu: float
    peak_mb: float


def measure(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
) -> Usage:
    """Run a command to its end and return what it took.

    Raises
    ------
    HoldfastError
        Where it fails: with the end of what it printed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    account = log.with_suffix(".account.json")
    account.unlink(missing_ok=True)
    with log.open("wb") as output:
        # Without `site`, the launcher holds a few MB.
        ended = subprocess.run(
            [sys.executable, "-S", "-E", str(_LAUNCHER), str(account), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=cwd,
        )
    if ended.returncode != 0:
        said = log.read_text(errors="replace").strip()[-_TAIL:]
        raise HoldfastError(
            f"Expected `{' '.join(command[:3])} ...` to succeed, it failed. It said last: {said}"
        )
    return Usage(**json.loads(account.read_text()))
