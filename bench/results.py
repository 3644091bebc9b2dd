"""Results on disk: one JSON file a benchmark and size, with what was measured where and when."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.places import RESULTS

_PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "lightgbm", "numba", "pandas", "pyarrow")


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages * page / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_at_start": os.getloadavg()[0],
    }


def write(kind: str, size: str, command: str, found: Mapping[str, Any]) -> Path:
    """Write a result and return where; an older one of the same kind and size is replaced."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{kind}_{size}.json"
    content = {
        "kind": kind,
        "size": size,
        "command": command,
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {name: version(name) for name in _PACKAGES},
        **found,
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
    return path


def read(kind: str, size: str) -> dict[str, Any] | None:
    """Return a result; None where there is none."""
    path = RESULTS / f"{kind}_{size}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
