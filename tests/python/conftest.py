"""What the tests share: a small demo company, run once from raw files to published marts."""

import io
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from ml.progress import Steps
from ml.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]

# A worker of pytest-xdist has a main module without a file. pyspark, where it is installed, takes
# that for a run of its own doctests, and ends the process when Great Expectations imports it.
if find_spec("pyspark") is not None:
    vars(sys.modules["__main__"]).setdefault("__file__", __file__)

# Large enough to train on, small enough to wait for.
CUSTOMERS = 800
MONTHS = 16
SEED = 7


@dataclass(frozen=True)
class Demo:
    """The demo company after `holdfast run`, to be read and never changed.

    Attributes
    ----------
    settings
        Paths of everything: raw files, truth, warehouse, marts, models, dbt's artifacts.
    result
        What the run gave back: `ml.run.RunResult`.
    environment
        What a process needs to work on the same company.
    """

    settings: Settings
    result: "RunResult"  # noqa: F821 - importing it takes seconds that most tests need not spend
    environment: dict[str, str]


def heed_interrupts() -> None:
    """Let a process be interrupted, for `preexec_fn`: one started in the background is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def quiet() -> Steps:
    """Return steps that nobody watches."""
    return Steps(Console(file=io.StringIO()))


def settings_in(folder: Path, **vars: object) -> Settings:
    """Return this project's settings with everything generated in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_LOCAL", str(folder / "local"))
        patch.setenv("DBT_TARGET_PATH", str(folder / "target"))
        return load_settings(ROOT, vars=vars)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo company, run once for all tests; to be read and never changed."""
    from ml import dbt
    from ml.promotion.promote import promote
    from ml.run import run
    from ml.simulate import simulate
    from ml.train import train

    settings = settings_in(tmp_path_factory.mktemp("demo"))
    simulate(customers=CUSTOMERS, months=MONTHS, seed=SEED, out=settings.raw_dir)
    dbt.build(settings, exclude=dbt.AFTER_SCORING)
    trained = train(settings)
    if not trained.is_champion:
        # On so few customers it may not beat recency for sure; what comes after needs a champion.
        promote(settings, str(trained.model_version), is_forced=True, why="a champion to test with")
    return Demo(
        settings=settings,
        result=run(settings, quiet()),
        environment={
            "HOLDFAST_LOCAL": str(settings.local_dir),
            "DBT_TARGET_PATH": str(settings.target_dir),
        },
    )


@pytest.fixture
def demo_copy(demo: Demo, tmp_path: Path) -> Iterator[Settings]:
    """A copy of the demo company that a test may change; dbt's artifacts are copied too."""
    local, target = tmp_path / "local", tmp_path / "target"
    shutil.copytree(demo.settings.local_dir, local, ignore=shutil.ignore_patterns("logs"))
    shutil.copytree(demo.settings.target_dir, target)
    yield replace(demo.settings, local_dir=local, raw_dir=local / "raw", target_dir=target)
