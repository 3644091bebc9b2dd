"""What came of a training, for a person to read."""

from __future__ import annotations

from rich.console import Group, RenderableType

from ml import page
from ml.choosing.render import interval, standings
from ml.judge import TEST
from ml.metrics import METRICS, Estimate
from ml.policies import Policies
from ml.train import TrainResult


def render(result: TrainResult) -> RenderableType:
    """Return the leaderboard, the chosen family's figures on the test dates, and the verdict."""
    record = result.record
    state = "registered" if result.is_new else "had been trained before"
    return Group(
        page.title("Families by past dates, each judged by what was known on it"),
        standings(record.standings),
        page.title(
            f"{record.estimator.replace('_', ' ')} on {record.test_rows:,} customers as of "
            f"{record.test_from} to {record.test_to}"
        ),
        page.table(["", "", "", ""], _figures(result), header=False),
        page.title("From which probability on to call, chosen on the past dates"),
        _policies(record.policies),
        page.title(f"Version {result.model_version} {state}"),
        *page.lines([result.verdict, *record.notes]),
    )


def _policies(policies: Policies) -> RenderableType:
    rows = [
        [
            f"{each.policy}{' (chosen)' if each.policy == policies.chosen else ''}",
            "nobody" if each.threshold.value is None else f"{each.threshold.value:.3f}",
            interval(each.reached.share_called),
            interval(each.reached.precision),
            interval(each.reached.recall),
            each.why,
        ]
        for each in policies.thresholds
    ]
    bound = policies.bound
    rows.append(
        [
            "bound",
            "none" if bound.threshold is None else f"{bound.threshold:.3f}",
            "" if bound.share_called is None else f"{bound.share_called:.3f}",
            "",
            "",
            bound.why,
        ]
    )
    return page.table(["policy", "from", "called", "precision", "recall", "why"], rows)


def _figures(result: TrainResult) -> list[list[str]]:
    record = result.record
    found = {
        (each.estimator, each.metric): Estimate(each.value, each.lower_bound, each.upper_bound)
        for each in record.evaluations
        if each.split == TEST and each.segment_type == "overall"
    }
    nothing = Estimate(None)
    truth = {} if record.truth is None else record.truth.of_truth
    rows = [["", "model", "recency alone", "the truth itself" if truth else ""]]
    for metric in METRICS:
        own = found.get((record.estimator, metric), nothing)
        recency = found.get(("recency", metric), nothing)
        rows.append(
            [
                metric.replace("_", " "),
                interval(own),
                "" if recency.value is None else interval(recency),
                "" if truth.get(metric) is None else f"{truth[metric]:.3f}",
            ]
        )
    return rows
