"""Where the benchmark keeps what it makes: all of it under one folder, which may be removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.sizes import Size
from ml.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PEERS = ROOT / "bench" / "peers"
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Places:
    """The folders of one size."""

    folder: Path
    environments: Path

    @classmethod
    def of(cls, size: Size) -> Places:
        """Return the folders of a size, under the project's folder for what is generated."""
        made = load_settings(ROOT).local_dir / "bench"
        return cls(made / size.name, made / "environments")

    @property
    def inputs(self) -> Path:
        """Return where everyone's inputs lie."""
        return self.folder / "inputs"

    @property
    def sampled(self) -> Path:
        """Return where the inputs of fewer customers lie."""
        return self.folder / "sampled"

    @property
    def numba(self) -> dict[str, str]:
        """Return the environment that keeps compiled kernels from run to run."""
        return {"NUMBA_CACHE_DIR": str(self.folder / "numba")}

    def company(self, customers: int, months: int) -> Path:
        """Return the folder of a demo company: its raw files, its warehouse."""
        return self.folder / f"company_{customers}_{months}"


def settings_in(folder: Path, **variables: object) -> Settings:
    """Return this project's settings with everything generated in a folder of its own."""
    import os

    before = {name: os.environ.get(name) for name in ("HOLDFAST_LOCAL", "DBT_TARGET_PATH")}
    os.environ["HOLDFAST_LOCAL"] = str(folder)
    os.environ["DBT_TARGET_PATH"] = str(folder / "target")
    try:
        return load_settings(ROOT, vars=variables)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
