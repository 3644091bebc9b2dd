"""Who takes part, and the environment that each one runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.places import PEERS, ROOT, Places


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes
    ----------
    name
        Its folder in `bench/peers`.
    title
        What it is called in tables.
    mark
        How many times as fast as it Holdfast is to be; None where no mark is set.
    is_slow
        Whether it takes so long that it runs once only, beside a run of Holdfast's own.
    is_sampled
        Whether it does the work of fewer customers only.
    """

    name: str
    title: str
    mark: float | None = None
    is_slow: bool = False
    is_sampled: bool = False

    @property
    def script(self) -> Path:
        """Return what is run."""
        return PEERS / self.name / "run.py"

    @property
    def requirements(self) -> Path:
        """Return what its own environment holds; absent where the project's own will do."""
        return PEERS / self.name / "requirements.txt"


HOLDFAST = Contender("holdfast", "Holdfast: the SQL of its gold")
LIMIT = Contender("limit", "the limit: a compiled two-pointer kernel")
PEERS_IN_ORDER = (
    Contender("duckdb_asof", "DuckDB, ASOF joins over prefix sums"),
    Contender("pandas", "pandas", mark=3),
    Contender("polars", "polars, streaming", mark=5),
    Contender("timefence", "Timefence", mark=5, is_slow=True),
    Contender("feast", "Feast, DuckDB offline store", mark=10, is_slow=True),
    Contender("spark", "Spark SQL, local[2]", is_slow=True),
    Contender("featuretools", "featuretools, a row", mark=50, is_slow=True, is_sampled=True),
)
ALL = (HOLDFAST, LIMIT, *PEERS_IN_ORDER)


def environment(contender: Contender, places: Places) -> Path:
    """Return the Python that a contender runs in, installed where it is not there yet.

    Raises
    ------
    subprocess.CalledProcessError
        Where its packages cannot be installed; the output says why.
    """
    if not contender.requirements.is_file():
        return Path(sys.executable)
    folder = places.environments / contender.name
    python = folder / "bin" / "python"
    done = folder / "installed.txt"
    wanted = contender.requirements.read_text()
    if not done.is_file() or done.read_text() != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        requirements = ["--requirement", str(contender.requirements)]
        quick = Path(sys.executable).with_name("uv")
        if quick.is_file():
            _run([str(quick), "pip", "install", "--quiet", "--python", str(python), *requirements])
        else:
            _run([str(python), "-m", "pip", "install", "--quiet", *requirements])
        done.write_text(wanted)
    return python


def versions(contender: Contender, python: Path) -> list[str]:
    """Return the versions that matter, as `name==version`."""
    if contender.requirements.is_file():
        return contender.requirements.read_text().split()
    names = {"limit": ["numba", "pyarrow"], "pandas": ["pandas", "pyarrow"]}
    wanted = names.get(contender.name, ["duckdb"])
    script = "import sys; from importlib.metadata import version\n"
    script += "print(*(f'{name}=={version(name)}' for name in sys.argv[1:]))"
    said = subprocess.run(
        [str(python), "-c", script, *wanted], check=True, capture_output=True, text=True
    )
    return said.stdout.split()


def variables(places: Places) -> dict[str, str]:
    """Return what every contender finds in its environment: two threads, nothing reported."""
    return {
        "PYTHONPATH": str(ROOT),
        "POLARS_MAX_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "NUMBA_NUM_THREADS": "2",
        "FEAST_USAGE": "False",
        "DO_NOT_TRACK": "1",
        **places.numba,
    }


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
