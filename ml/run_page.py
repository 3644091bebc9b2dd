"""A run as a page for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ml.baselines import BASE_RATE, RECENCY
from ml.families import LIGHTGBM
from ml.judge import TEST
from ml.page import lines, table, title
from ml.run import RunResult
from ml.settings import Settings
from ml.summary import Rejects, RelationRows

_SHOWN_METRICS = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "lift_at_capacity": "lift at capacity",
}
_WORDS = {LIGHTGBM: "LightGBM", RECENCY: "recency alone"}


def render(settings: Settings, result: RunResult) -> RenderableType:
    """Return a run as a page for a terminal."""
    summary = result.summary
    parts: list[RenderableType] = [
        title(f"What came in, {_day(summary.data_from)} to {_day(summary.data_until)}"),
        table(
            ["input", "rows in", "kept", "repeats", "rejected", "because"],
            [
                [
                    each.entity,
                    f"{each.rows_in:,}",
                    f"{each.rows_kept:,}",
                    f"{each.repeats:,}",
                    f"{each.rejects:,}",
                    _why_rejected(each.entity, summary.rejects),
                ]
                for each in summary.intake
            ],
            right=("rows in", "kept", "repeats", "rejected"),
        ),
        title("What was built"),
        table(["layer", "rows"], _layers(summary.relations), header=False),
        title("Who left within the horizon, of whom that is known"),
        table(
            ["cohort", "observations", "churned", "share"],
            [
                [each.cohort, f"{each.observations:,}", f"{each.churned:,}", f"{each.rate:.1%}"]
                for each in result.trained.record.label_rates
            ],
            right=("observations", "churned", "share"),
        ),
        title("How well the model tells it beforehand"),
        *_judgement(result),
    ]
    if summary.customers:
        parts += [
            title("Whom to call first, for a year's money at risk, and why"),
            table(
                ["", "customer", "tier", "probability", "money at risk", "why"],
                [
                    [
                        str(each.priority),
                        each.customer_id,
                        each.value_tier,
                        f"{each.churn_probability:.0%}",
                        f"{each.revenue_at_risk:,.0f}",
                        "\n".join(each.reasons),
                    ]
                    for each in summary.customers
                ],
                right=("", "probability", "money at risk"),
            ),
        ]
    if result.warnings:
        parts += [title("Warnings", "yellow"), *lines(result.warnings)]
    if result.notes:
        parts += [title("Notes"), *lines(result.notes)]
    parts += [title("What to open next"), table(["", ""], _next(settings), header=False)]
    seconds = sum(step.seconds for step in result.steps)
    parts += [
        title(f"Done in {seconds:.0f} s"),
        table(
            ["step", "seconds", "outcome"],
            [[step.name, f"{step.seconds:.1f}", step.outcome] for step in result.steps],
            right=("seconds",),
            header=False,
        ),
    ]
    return Group(*parts)


def _judgement(result: RunResult) -> Iterable[RenderableType]:
    record = result.trained.record
    found = {
        (each.estimator, each.metric): each
        for each in record.evaluations
        if each.split == TEST and each.segment_type == "overall"
    }
    rows = []
    for estimator in (record.estimator, RECENCY, BASE_RATE):
        cells = [found.get((estimator, metric)) for metric in _SHOWN_METRICS]
        if any(cells):
            rows.append(
                [_WORDS.get(estimator, estimator.replace("_", " "))]
                + [
                    _interval(cell.value, cell.lower_bound, cell.upper_bound) if cell else ""
                    for cell in cells
                ]
            )
    if (truth := record.truth) is not None:
        figures = [truth.of_truth[metric] for metric in _SHOWN_METRICS]
        rows.append(
            ["the truth itself", *("" if each is None else f"{each:.3f}" for each in figures)]
        )
    yield Padding(
        Text(
            f"{record.test_rows:,} observations from {record.test_from} to {record.test_to}, none "
            "of them trained on; 95 % intervals.",
            style="dim",
        ),
        (0, 0, 0, 2),
    )
    metrics = list(_SHOWN_METRICS.values())
    yield table(["", *metrics], rows)
    yield Padding(Text(result.trained.verdict), (0, 0, 0, 2))


def _next(settings: Settings) -> list[list[str]]:
    rows = [["the marts, for SQL", _short(settings.marts_path)]]
    if settings.reports_dir.is_dir() and any(settings.reports_dir.iterdir()):
        rows.append(["reports", _short(settings.reports_dir)])
    store = f"sqlite:///{_short(settings.local_dir / 'mlflow.db')}"
    rows.append(["models and curves", f"mlflow ui --backend-store-uri {store}"])
    return rows


def _layers(relations: Sequence[RelationRows]) -> list[list[str]]:
    lines: dict[str, list[str]] = {}
    for each in relations:
        lines.setdefault(each.layer, []).append(f"{each.relation} {each.rows:,}")
    return [[layer, " · ".join(counts)] for layer, counts in lines.items()]


def _why_rejected(entity: str, rejects: Sequence[Rejects]) -> str:
    return "; ".join(f"{each.reason} ({each.rows:,})" for each in rejects if each.entity == entity)


def _interval(value: float | None, lower: float | None, upper: float | None) -> str:
    if value is None:
        return "–"
    bounds = "" if lower is None or upper is None else f" ({lower:.3f}–{upper:.3f})"
    return f"{value:.3f}{bounds}"


def _short(path: Path) -> str:
    """Return a path as it is typed from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _day(moment: datetime | date) -> str:
    return f"{moment:%Y-%m-%d}"
