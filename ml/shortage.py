"""A disk or a memory that did not suffice, told in one sentence with what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

from ml.errors import HoldfastError
from ml.memory import LIMIT_VARIABLE, engine_limit

_DISK = ("no space left", "file too large", "disk full", "disk is full", "disk i/o error")
_MEMORY = ("out of memory", "failed to allocate", "cannot allocate memory", "bad_alloc", "realloc")
# Beyond its memory the engine writes to the disk, and finds that full too.
_SPILL = ("failed to offload", "max_temp_directory_size")


def shortage(folder: Path, message: str) -> HoldfastError | None:
    """Return what to do where a message tells of a full disk or memory, or None.

    Parameters
    ----------
    folder
        Where things are written.
    message
        What the engine, a library or the system said.
    """
    said = " ".join(message.split())
    lowered = said.lower()
    if any(sign in lowered for sign in _SPILL):
        return HoldfastError(
            f"The memory that the engine may take ({engine_limit()}) is full, and so is the disk "
            f"with {folder}, where it puts what does not fit. Free some space, or give it more "
            f"memory by {LIMIT_VARIABLE}, and run again; what was there before is still whole. The "
            f"engine said: {_first_sentence(said)}"
        )
    if any(sign in lowered for sign in _DISK):
        return HoldfastError(
            f"The disk with {folder} is full. Free some space and run again; what was there "
            f"before is still whole. The engine said: {said}"
        )
    if any(sign in lowered for sign in _MEMORY):
        return out_of_memory(said)
    return None


def out_of_memory(said: str) -> HoldfastError:
    """Return what to do where memory ran out."""
    return HoldfastError(
        f"Memory ran out. The engine may take {engine_limit()}: where the machine has more, raise "
        f"{LIMIT_VARIABLE}; where it has not, lower it, to leave more for training and scoring. "
        "Then run again; what was there before is still whole. What ran out said: "
        f"{_first_sentence(said)}"
    )


def _first_sentence(said: str) -> str:
    """Return the message without the advice that the engine adds to it."""
    return re.split(r"(?<=\.) | Possible solutions| This limit was set by", said, maxsplit=1)[0]
