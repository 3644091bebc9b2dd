"""How much memory the engine may take, so that Python beside it has room too.

DuckDB takes four fifths of what there is, unless told otherwise, and spills to the disk beyond.
Below 5 GB that leaves too little for training, and the system would end the run without a word.
"""

from __future__ import annotations

import os
import re
from functools import cache

from ml.errors import UsageError

LIMIT_VARIABLE = "HOLDFAST_MEMORY_LIMIT"

_AMOUNT = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[KMGT]i?B)", re.IGNORECASE)
_SHARE = re.compile(r"[1-9]\d?%")
_BYTES = {"k": 1, "m": 2, "g": 3, "t": 4}

# Libraries, a training on 100,000 rows and its pictures: docs/under_load.md has the measurement.
_PYTHON_BYTES = 1 << 30
_ENGINE_SHARE = 0.8
_USUAL = "80%"


def engine_limit() -> str:
    """Return the engine's `memory_limit`: the environment's, or what leaves Python its part.

    Raises
    ------
    UsageError
        Where HOLDFAST_MEMORY_LIMIT is no amount of memory.
    """
    given = os.environ.get(LIMIT_VARIABLE, "").strip()
    if given:
        if not _SHARE.fullmatch(given):
            as_bytes(given)
        return given
    total = _total()
    share = share_of_engine(total)
    return _USUAL if share >= int(total * _ENGINE_SHARE) else f"{share >> 20}MiB"


def share_of_engine(total: int) -> int:
    """Return the engine's part, in bytes, of so much memory.

    >>> [share_of_engine(total << 30) / (1 << 30) for total in (1, 2, 4, 5, 20)]
    [0.5, 1.0, 3.0, 4.0, 16.0]
    """
    return min(int(total * _ENGINE_SHARE), max(total - _PYTHON_BYTES, total // 2))


def as_bytes(amount: str) -> int:
    """Return an amount of memory as bytes; without an `i`, units are powers of 1000, as DuckDB's.

    >>> as_bytes("1.5GB"), as_bytes("2 GiB")
    (1500000000, 2147483648)

    Raises
    ------
    UsageError
        Where it is none.
    """
    found = _AMOUNT.fullmatch(amount.strip())
    if found is None:
        raise UsageError(
            f"{LIMIT_VARIABLE} wants an amount of memory, such as 2GB, or a share, "
            f"such as 50%; got {amount!r}."
        )
    unit = found["unit"].lower()
    base = 1024 if unit[1] == "i" else 1000
    return int(float(found["number"]) * base ** _BYTES[unit[0]])


@cache
def _total() -> int:
    """Return the memory of this machine or, where that is less, of the container."""
    import duckdb

    # DuckDB knows how to ask either, on every system.
    with duckdb.connect() as connection:
        found = connection.execute("select current_setting('memory_limit')").fetchall()
    return int(as_bytes(str(found[0][0])) / _ENGINE_SHARE)
