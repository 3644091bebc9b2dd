"""Histories, leaderboards and ablations, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from ml import page
from ml.choosing.ablation import AblationResult
from ml.choosing.backtest import BacktestResult
from ml.conformal import BoundCheck
from ml.lead_time import EARLY_DAYS
from ml.leaderboard import Standing
from ml.metrics import Estimate


def of_backtest(result: BacktestResult) -> RenderableType:
    """Return the standings, then average precision by date."""
    by_date = page.table(
        ["as of", *(_spoken(each.estimator) for each in result.standings)],
        [
            [day, *(_figure(each.by_fold.get(day)) for each in result.standings)]
            for day in result.dates
        ],
        right=[_spoken(each.estimator) for each in result.standings],
    )
    return Group(
        page.title(
            f"{len(result.dates)} past dates, each judged by what was known on it: "
            f"{result.observations:,} customers, {result.churned:,} churned"
        ),
        standings(result.standings),
        page.title("Average precision by date"),
        by_date,
        page.title("How early: first alert to churn, with the team's capacity called every date"),
        page.table(
            ["", "churns caught", "days ahead", f"over {EARLY_DAYS} days", "of all in reach"],
            [
                [
                    _spoken(each.estimator),
                    _percent(each.caught_ratio),
                    "" if each.median_days is None else f"{each.median_days:.0f}",
                    _percent(each.early_ratio_of_caught),
                    _percent(each.early_ratio),
                ]
                for each in result.leads
            ],
            right=["churns caught", "days ahead", f"over {EARLY_DAYS} days", "of all in reach"],
        ),
        *page.lines(["", _bound(result.bound)]),
    )


def standings(rows: Sequence[Standing]) -> RenderableType:
    """Return a leaderboard, best first; intervals are 95 %, by bootstrap over customers."""
    return page.table(
        ["", "average precision", "worst date", "over recency alone", "behind the best"],
        [
            [
                _spoken(each.estimator),
                interval(each.mean),
                f"{_figure(each.worst)} ({each.worst_fold})",
                "" if each.gain is None else interval(each.gain, sign="+"),
                "" if each.gap is None else interval(each.gap, sign="+"),
            ]
            for each in rows
        ],
    )


def of_ablation(result: AblationResult) -> RenderableType:
    """Return the experiments with what is lost by them."""
    return Group(
        page.title(
            f"{_spoken(result.family)} on {len(result.dates)} past dates: "
            f"{result.observations:,} customers, {result.churned:,} churned"
        ),
        page.table(
            ["experiment", "features", "average precision", "lost", "revenue caught", "lost"],
            [
                [
                    each.experiment,
                    str(each.features),
                    interval(each.mean),
                    "" if each.loss is None else interval(each.loss, sign="+"),
                    interval(each.revenue),
                    "" if each.revenue_loss is None else interval(each.revenue_loss, sign="+"),
                ]
                for each in result.trials
            ],
            right=["features"],
        ),
        *page.lines(
            [
                "Lost is against all features in one model, with the weights of the settings.",
                "A loss whose interval holds 0 is not told from chance.",
            ]
        ),
    )


def interval(estimate: Estimate, sign: str = "") -> str:
    """Return an estimate with its interval, in three digits."""
    if estimate.value is None:
        return "unknown"
    value = f"{estimate.value:{sign}.3f}"
    if estimate.lower is None or estimate.upper is None:
        return value
    return f"{value} [{estimate.lower:{sign}.3f}, {estimate.upper:{sign}.3f}]"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _bound(check: BoundCheck) -> str:
    if not check.bounded:
        return "Too few churned for a bound on the missed churn value."
    return (
        f"The bound on the missed churn value, set on one half of the customers, was broken on the "
        f"other in {check.exceeded} of {check.splits} splits; {check.bounded} had enough churners "
        f"for a bound, which then missed {check.missed_share or 0:.1%} in the mean."
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _spoken(name: str) -> str:
    return name.replace("_", " ")
