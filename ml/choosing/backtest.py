"""`holdfast backtest`: what each family would have reached, month after month."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ml import fit
from ml.choosing import past, picture
from ml.clock import utc_now
from ml.conformal import BoundCheck, resampling_check
from ml.judge import BACKTEST, OVERALL, Evaluation
from ml.lead_time import lead_times
from ml.leaderboard import Standing
from ml.metrics import Outcomes
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.validation import validate

Floats = NDArray[np.float64]

# A chance of a tenth is then seen to within two hundredths.
BOUND_SPLITS = 200


@dataclass(frozen=True)
class Lead:
    """How early an estimator's alerts come, with the team's capacity called at every date.

    Attributes
    ----------
    churns
        Churns seen on the judged dates.
    caught_ratio
        Share of them that had an alert on any of the dates.
    median_days
        Days from the first alert to the churn, among the caught.
    early_ratio_of_caught
        Share of the caught whose first alert came more than `early_days` ahead.
    early_ratio
        Share of the churns that could have been caught so early, and were.
    """

    estimator: str
    churns: int
    caught_ratio: float | None
    median_days: float | None
    early_days: int
    early_ratio_of_caught: float | None
    early_ratio: float | None


@dataclass(frozen=True)
class BacktestResult:
    """The families and baselines over past dates, each judged by what was known on it.

    Attributes
    ----------
    bound
        How the bound of `decide.alpha` on the missed churn value held when customers were split.
    """

    run_id: str
    dates: tuple[str, ...]
    observations: int
    churned: int
    standings: tuple[Standing, ...]
    leads: tuple[Lead, ...]
    bound: BoundCheck
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
    pipelines = fit.build_all(
        rows.wanted(options.families), options, rows.material.types, settings.seed
    )
    judged = validate(
        rows.material,
        rows.split,
        pipelines,
        options,
        np.random.default_rng(settings.seed),
        name=BACKTEST,
        progress=say,
    )
    leads = tuple(
        _lead(rows, name, score, options.capacity_share)
        for name, score in judged.all_scores.items()
    )
    # The bound looks at nothing but the order, so that the score's own odds will do.
    bound = resampling_check(
        judged.outcomes,
        expit(judged.scores[judged.chosen]),
        alpha=settings.decide.alpha,
        delta=settings.decide.delta,
        splits=BOUND_SPLITS,
        rng=np.random.default_rng(settings.seed),
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
        evaluations=(*judged.evaluations, *_lead_evaluations(leads, judged.outcomes)),
        evaluated_at=utc_now(),
    )
    return BacktestResult(
        run_id=run_id,
        dates=names,
        observations=judged.outcomes.target.size,
        churned=int(judged.outcomes.target.sum()),
        standings=judged.standings,
        leads=leads,
        bound=bound,
        evaluations=judged.evaluations,
    )


def _lead(rows: past.Past, estimator: str, score: Floats, share: float) -> Lead:
    data, judged = rows.material.data, rows.split.validate
    dates = data.as_of_date[judged]
    days = data.days_to_churn[judged]
    left = dates.astype("datetime64[D]").astype(np.int64) + np.nan_to_num(days).astype(np.int64)
    churned_at = left.astype("datetime64[D]")
    churned_at[(data.is_churn[judged] == 0) | np.isnan(days)] = np.datetime64("NaT")
    found = lead_times(data.customer[judged], dates, _is_called(dates, score, share), churned_at)
    return Lead(
        estimator=estimator,
        churns=found.churns,
        caught_ratio=found.caught_share,
        median_days=found.median_days,
        early_days=found.early_days,
        early_ratio_of_caught=found.early_share_of_caught,
        early_ratio=found.early_share,
    )


def _is_called(dates: NDArray[np.datetime64], score: Floats, share: float) -> NDArray[np.bool_]:
    """Return who is called: at each date the highest scores, as many whole rows as fit."""
    called = np.zeros(score.size, dtype=bool)
    for day in np.unique(dates):
        rows = np.flatnonzero(dates == day)
        order = rows[np.argsort(-score[rows], kind="stable")]
        called[order[: int(share * rows.size)]] = True
    return called


def _lead_evaluations(leads: tuple[Lead, ...], outcomes: Outcomes) -> tuple[Evaluation, ...]:
    return tuple(
        Evaluation(
            estimator=each.estimator,
            segment_type=OVERALL,
            segment="all",
            metric=metric,
            value=value,
            lower_bound=None,
            upper_bound=None,
            observations=outcomes.target.size,
            churned=int(outcomes.target.sum()),
            split=BACKTEST,
        )
        for each in leads
        for metric, value in (
            ("churns_caught_ratio", each.caught_ratio),
            ("median_lead_days", each.median_days),
            ("early_ratio_of_caught", each.early_ratio_of_caught),
            ("early_ratio", each.early_ratio),
        )
    )
