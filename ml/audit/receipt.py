"""What honesty is worth: what one model claims by five ways of measuring, and what it achieves.

Everyone stands on the same day, the split, with the rows whose labels are known there. Each way of
measuring sets rows aside, trains the same recipe on others, and so arrives at a claim. Then the
recipe is trained on everything known that day, and the months that follow show what it is worth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml import metrics, splits
from ml.audit import current_state, receipt_picture
from ml.audit.claims import Promise, Recipe, Rows, measured, promises
from ml.audit.findings import Finding, new_audit_id, now, write_findings, write_report
from ml.contract import load_contract
from ml.metrics import ROC_AUC
from ml.progress import Progress, silent
from ml.sampling import choose_sample
from ml.settings import Settings
from ml.terminal import plain
from ml.training_set import (
    History,
    LabelledRows,
    read_features,
    read_history,
    require_features,
)
from ml.warehouse import open_warehouse

AUDIT = "receipt"

Mask = NDArray[np.bool_]

RANDOM, NO_PURGE, NEWEST_STATE, NEWEST_FEATURES, HONEST = (
    "random_split",
    "no_purge",
    "newest_state",
    "newest_features",
    "honest",
)
WAYS: Mapping[str, str] = {
    RANDOM: "Rows are dealt out at random, a fifth to be judged: the months before and after a "
    "judged row, of the same customer, are among those that train.",
    NO_PURGE: "By time, but whatever lies before the judged months trains, also where its label "
    "became known during or after them.",
    NEWEST_STATE: "By time and purged, but each customer, subscription, ticket, invoice and touch "
    "is as it stood on the day of the split: a warehouse that overwrites.",
    NEWEST_FEATURES: "By time and purged, but each past row carries its customer's newest features "
    "of the day of the split: a feature table without history.",
    HONEST: "By time and purged, every row as it was known then.",
}

_RANDOM_SHARE = 0.2


@dataclass(frozen=True)
class WayResult:
    """What one way of measuring came to.

    Attributes
    ----------
    way, words
        Its name, and what it does.
    train_rows, judged_rows, judged_churned
        What the claim rests on.
    promises
        Metric to what is claimed and what is achieved.
    """

    way: str
    words: str
    train_rows: int
    judged_rows: int
    judged_churned: int
    promises: Mapping[str, Promise]


@dataclass(frozen=True)
class ReceiptResult:
    """What every way of measuring came to, on one company.

    Attributes
    ----------
    project
        The dbt project's folder.
    split_at
        The day on which everyone stands.
    judged_dates
        The as-of dates set aside by the ways that split by time.
    following_dates
        The as-of dates from the split on, by which the models are judged in the end.
    following_rows, following_churned
        Rows of those dates.
    """

    audit_id: str
    created_at: datetime
    project: str
    split_at: date
    judged_dates: tuple[date, ...]
    following_dates: tuple[date, ...]
    following_rows: int
    following_churned: int
    ways: tuple[WayResult, ...]
    report: Path
    picture: Path
    seconds: float

    def of(self, way: str) -> WayResult:
        """Return one way of measuring."""
        return next(each for each in self.ways if each.way == way)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return vars(self)


def receipt(settings: Settings, *, progress: Progress | None = None) -> ReceiptResult:
    """Hold what five ways of measuring claim against what the models then achieve.

    The days are those of a training: the test dates are the months that follow, the first of them
    is the day of the split. The months judged before it are as many, the newest of which every
    label was known at the split.

    Raises
    ------
    DataError
        Where the history before the split cannot carry a claim.
    HoldfastError
        Where there is no warehouse, or the scratch one cannot be built.
    """
    say = progress or silent
    started = time.perf_counter()
    contract = load_contract(settings.manifest_path)
    say("Reading features", 0, 0)
    with open_warehouse(settings, read_only=True) as warehouse:
        sample = choose_sample(warehouse, settings.train.max_rows)
        history = read_history(warehouse, contract, sample)
        require_features(warehouse, "gold.training_set", contract.types)
        after = _period(settings, history)
        past = read_history(warehouse, contract, sample, known_until=after.cutoff)
        before = _period(settings, past)
        frame = read_features(warehouse, contract.types, history.rows)
        is_past = splits.trainable_at(history.rows.label_known_at, after.cutoff)
        newest_features = current_state.of_newest_observation(
            warehouse, contract.types, past.rows, after.cutoff
        )
    newest_state, found = current_state.of_newest_state(
        settings, contract.types, past.rows, after.cutoff, progress=say
    )
    rows = _rows(history.rows, frame)
    past_rows = rows.at(is_past)
    following = rows.at(_is_of(history.rows, after))
    following.require_both_classes("that follow the split")
    recipe = Recipe(
        contract.types,
        settings.train.lightgbm,
        settings.train.weighting,
        settings.seed,
    )
    everyone = np.ones(len(past_rows.frame), dtype=bool)
    frames = {
        NEWEST_STATE: (newest_state, found),
        NEWEST_FEATURES: (newest_features, everyone),
    }
    results = measure_ways(
        recipe,
        past_rows,
        parts=_parts(past.rows, before, settings.seed),
        frames=frames,
        following=following,
        share=settings.train.capacity_share,
        samples=settings.train.bootstrap_samples,
        customers=len(history.rows.customers),
        progress=say,
    )
    created_at = now()
    audit_id = new_audit_id(AUDIT, created_at)
    result = ReceiptResult(
        audit_id=audit_id,
        created_at=created_at,
        project=settings.project_dir.name,
        split_at=after.cutoff.date(),
        judged_dates=before.dates,
        following_dates=after.dates,
        following_rows=following.count,
        following_churned=following.churned,
        ways=results,
        report=settings.reports_dir / f"{audit_id}.json",
        picture=settings.reports_dir / f"{audit_id}.png",
        seconds=time.perf_counter() - started,
    )
    _keep(settings, result)
    return result


def measure_ways(
    recipe: Recipe,
    past: Rows,
    *,
    parts: Mapping[str, tuple[Mask, Mask]],
    frames: Mapping[str, tuple[pd.DataFrame, Mask]],
    following: Rows,
    share: float,
    samples: int,
    customers: int,
    progress: Progress = silent,
) -> tuple[WayResult, ...]:
    """Return what each way claims, beside what its model achieves on the following rows.

    Parameters
    ----------
    past
        Every row whose label was known at the split, features as known then.
    parts
        Way to two masks over them: what trains, and what is judged.
    frames
        Way to features that take the place of those known then, and which rows have them.
    following
        The rows from the split on.
    share
        The share of customers that can be called.
    samples, customers
        Bootstrap samples, and how many customers there are to draw.
    """
    weights = metrics.resample_customers(customers, samples, np.random.default_rng(recipe.seed))

    def achieved_by(rows: Rows) -> dict[str, metrics.Sampled]:
        return measured(recipe.fitted(rows), following, share, weights)

    as_known = achieved_by(past)
    results = []
    for step, (way, (train, judged)) in enumerate(parts.items()):
        progress(f"Measuring by {way}", step, len(parts))
        rows, achieved = past, as_known
        if way in frames:
            frame, found = frames[way]
            rows = Rows(frame, past.outcomes, past.weight)
            train, judged = train & found, judged & found
            achieved = achieved_by(rows.at(found))
        training, some = rows.at(train), rows.at(judged)
        training.require_both_classes("that train")
        some.require_both_classes("that are judged")
        results.append(
            WayResult(
                way=way,
                words=WAYS[way],
                train_rows=training.count,
                judged_rows=some.count,
                judged_churned=some.churned,
                promises=promises(
                    measured(recipe.fitted(training), some, share, weights), achieved
                ),
            )
        )
    return tuple(results)


def _period(settings: Settings, history: History) -> splits.TestPeriod:
    return splits.test_period(
        history.dates,
        settings.train.test_dates,
        data_from=history.data_from,
        data_until=history.data_until,
    )


def _rows(data: LabelledRows, frame: pd.DataFrame) -> Rows:
    outcomes = metrics.Outcomes(
        data.is_churn, data.days_to_churn, data.monthly_revenue, data.customer
    )
    return Rows(frame, outcomes, data.weight)


def _is_of(data: LabelledRows, period: splits.TestPeriod) -> Mask:
    days = data.as_of_date.astype("datetime64[D]")
    return np.isin(days, np.array(period.dates, "datetime64[D]"))


def _parts(
    past: LabelledRows, judged: splits.TestPeriod, seed: int
) -> dict[str, tuple[Mask, Mask]]:
    """Return, for each way, which past rows train and which are judged."""
    is_judged = _is_of(past, judged)
    drawn = np.random.default_rng(seed).random(past.is_churn.size) < _RANDOM_SHARE
    earlier = past.as_of_date < np.datetime64(judged.cutoff)
    known = splits.trainable_at(past.label_known_at, judged.cutoff)
    return {
        RANDOM: (~drawn, drawn),
        NO_PURGE: (earlier, is_judged),
        NEWEST_STATE: (known, is_judged),
        NEWEST_FEATURES: (known, is_judged),
        HONEST: (known, is_judged),
    }


def _keep(settings: Settings, result: ReceiptResult) -> None:
    """Write the report, the picture and the findings."""
    write_report(result.report, plain(result))
    receipt_picture.save(
        result.picture,
        [
            receipt_picture.Line(
                each.way,
                each.promises,
                judged_rate=each.judged_churned / each.judged_rows,
                following_rate=result.following_churned / result.following_rows,
            )
            for each in result.ways
        ],
        title=receipt_picture.title(result.project, result.split_at, result.following_dates),
    )
    with open_warehouse(settings) as warehouse:
        write_findings(
            warehouse,
            audit=AUDIT,
            audit_id=result.audit_id,
            created_at=result.created_at,
            findings=[_finding(result, each) for each in result.ways],
        )


def _finding(result: ReceiptResult, each: WayResult) -> Finding:
    promise = each.promises[ROC_AUC]
    words = (
        f"Claims ROC AUC {_figure(promise.claimed)}, and its model achieves "
        f"{_figure(promise.achieved)} on the months that follow {result.split_at}: "
        f"{_figure(promise.excess)} too much."
    )
    return Finding(
        # What the honest way claims is what Holdfast says of its own models.
        severity="warning" if each.way == HONEST else "note",
        status="failed" if promise.is_broken else "passed",
        relation="gold.training_set",
        as_of_date=result.split_at,
        subject=each.way,
        finding=words,
        evidence=plain(each),
    )


def _figure(estimate: metrics.Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.lower:.3f}, {estimate.upper:.3f}]"
