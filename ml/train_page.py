"""What came of a training, for a person to read."""

from __future__ import annotations

from rich.console import Group, RenderableType

from ml import page
from ml.choosing.render import interval, standings
from ml.judge import TEST
from ml.metrics import METRICS, Estimate
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
        page.table(["", "", ""], _figures(result), header=False),
        page.title(f"Version {result.model_version} {state}"),
        *page.lines([result.verdict, *record.notes]),
    )


def _figures(result: TrainResult) -> list[list[str]]:
    record = result.record
    found = {
        (each.estimator, each.metric): Estimate(each.value, each.lower_bound, each.upper_bound)
        for each in record.evaluations
        if each.split == TEST and each.segment_type == "overall"
    }
    nothing = Estimate(None)
    rows = [["", "model", "recency alone"]]
    for metric in METRICS:
        own = found.get((record.estimator, metric), nothing)
        recency = found.get(("recency", metric), nothing)
        rows.append(
            [
                metric.replace("_", " "),
                interval(own),
                "" if recency.value is None else interval(recency),
            ]
        )
    if record.truth is not None:
        rows.append(
            [
                "the truth's own average precision",
                f"{record.truth.average_precision:.3f}",
                "",
            ]
        )
    return rows
