"""Whole processes: run one, and take what the operating system counted for it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml.errors import HoldfastError

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
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=cwd,
        )
        try:
            # Popen.wait gives no account of the child; wait4 gives the kernel's own.
            _, status, taken = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = log.read_text(errors="replace").strip()[-_TAIL:]
        raise HoldfastError(
            f"Expected `{' '.join(command[:3])} ...` to succeed, it ended with "
            f"{process.returncode}. It said last: {said}"
        )
    # Linux counts the peak in KiB.
    return Usage(wall, taken.ru_utime + taken.ru_stime, taken.ru_maxrss * 1024 / 1e6)
