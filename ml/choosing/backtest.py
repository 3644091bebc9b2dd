"""`holdfast backtest`: what each family would have reached, month after month."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml import fit
from ml.choosing import past, picture
from ml.clock import utc_now
from ml.judge import BACKTEST, Evaluation
from ml.leaderboard import Standing
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.validation import validate


@dataclass(frozen=True)
class BacktestResult:
    """The families and baselines over past dates, each judged by what was known on it."""

    run_id: str
    dates: tuple[str, ...]
    observations: int
    churned: int
    standings: tuple[Standing, ...]
    evaluations: tuple[Evaluation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {name: value for name, value in vars(self).items() if name != "evaluations"}


def backtest(
    settings: Settings,
    *,
    dates: int,
    families: str | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Judge families on past dates, each trained on the labels known on that very date.

    Nothing is registered and nothing is tuned: it is the history that a family would have had.

    Parameters
    ----------
    dates
        How many of the newest dates whose labels are all known are judged, at most.
    families
        Names with commas between; None: `train.families`.

    Raises
    ------
    DataError
        If no date can be judged by what was known on it.
    HoldfastError
        If a family's library is not installed, or the warehouse cannot be used.
    """
    say = progress or silent
    options = past.with_families(settings.train, families)
    rows = past.read_past(settings, dates=dates, say=say)
    pipelines = {
        family: fit.build(family, options, rows.material.types, settings.seed)
        for family in rows.wanted(options.families)
    }
    judged = validate(
        rows.material,
        rows.split,
        pipelines,
        options,
        np.random.default_rng(settings.seed),
        name=BACKTEST,
        progress=say,
    )
    names = tuple(fold.name for fold in rows.split.folds)
    run_id = past.record(
        settings,
        split=BACKTEST,
        params={
            "from": names[0],
            "to": names[-1],
            "families": ", ".join(pipelines),
            "gold_fingerprint": rows.gold_fingerprint,
        },
        figures=past.figures_of(judged.standings),
        pictures={"backtest.png": picture.history(judged.standings)},
        evaluations=judged.evaluations,
        evaluated_at=utc_now(),
    )
    return BacktestResult(
        run_id=run_id,
        dates=names,
        observations=judged.outcomes.target.size,
        churned=int(judged.outcomes.target.sum()),
        standings=judged.standings,
        evaluations=judged.evaluations,
    )
