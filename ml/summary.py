"""What a run leaves behind, summed up for the person who started it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ml.settings import Settings
from ml.warehouse import Warehouse

if TYPE_CHECKING:
    from ml.run import RunResult

# Of a layer, what a person counts: gold's families have the rows of customer_360, one by one.
_RELATIONS = """
    with relations as (
        select schema_name as layer, table_name as relation from duckdb_tables()
        where database_name = current_database()
        union all
        select schema_name as layer, view_name as relation from duckdb_views()
        where database_name = current_database()
    )
    select layer, relation from relations
    where layer in ('silver', 'gold', 'marts') and not starts_with(relation, 'features_')
    order by list_position(['silver', 'gold', 'marts'], layer), relation
"""
_SHOWN_METRICS = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "lift_at_capacity": "lift at capacity",
}
_ESTIMATORS = {
    "lightgbm": "LightGBM",
    "logistic_regression": "logistic regression",
    "recency": "recency alone",
    "base_rate": "base rate",
}


@dataclass(frozen=True)
class Intake:
    """What became of the rows of one input: `rows_in` is the sum of the others."""

    entity: str
    rows_in: int
    rows_kept: int
    repeats: int
    rejects: int


@dataclass(frozen=True)
class Rejects:
    """Rows of one input that broke the contract in one way."""

    entity: str
    reason: str
    rows: int


@dataclass(frozen=True)
class RelationRows:
    """How many rows a relation has."""

    layer: str
    relation: str
    rows: int


@dataclass(frozen=True)
class CustomerToCall:
    """One line of the worklist; money in the company's currency, a year's worth."""

    priority: int
    customer_id: str
    value_tier: str
    churn_probability: float
    revenue_at_risk: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """What the warehouse holds after a run.

    Attributes
    ----------
    data_from, data_until
        The first and the last moment that the data covers.
    intake, rejects
        What came in, by input, and what was set aside, by reason.
    relations
        Rows of the relations of silver, gold and marts.
    customers
        The first of the newest worklist, in the order to call them.
    """

    data_from: datetime
    data_until: datetime
    intake: tuple[Intake, ...]
    rejects: tuple[Rejects, ...]
    relations: tuple[RelationRows, ...]
    customers: tuple[CustomerToCall, ...]


def summarise(settings: Settings) -> Summary:
    """Read what a run leaves behind from the warehouse."""
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        clock = _rows(warehouse, "select data_from, data_until from silver.clock")[0]
        intake = _rows(
            warehouse,
            "select entity, rows_in, rows_kept, repeats, rejects from silver.intake "
            "order by entity",
        )
        rejects = _rows(
            warehouse,
            "select entity, reason, count(*) as rows from bronze.rejects "
            "group by entity, reason order by rows desc, entity, reason",
        )
        relations = [
            (row["layer"], row["relation"], _count(warehouse, row["layer"], row["relation"]))
            for row in _rows(warehouse, _RELATIONS)
        ]
        customers = _rows(
            warehouse,
            "select priority, customer_id, value_tier, churn_probability::double as "
            "churn_probability, revenue_at_risk::double as revenue_at_risk, "
            "list_filter([reason_1, reason_2, reason_3], lambda reason: reason is not null) "
            "as reasons from marts.retention_worklist order by priority limit $1",
            [settings.summary.customers],
        )
    return Summary(
        data_from=clock["data_from"],
        data_until=clock["data_until"],
        intake=tuple(Intake(**row) for row in intake),
        rejects=tuple(Rejects(**row) for row in rejects),
        relations=tuple(RelationRows(*row) for row in relations),
        customers=tuple(
            CustomerToCall(**{**row, "reasons": tuple(row["reasons"])}) for row in customers
        ),
    )


def render(settings: Settings, result: RunResult) -> RenderableType:
    """Return a run as a page for a terminal."""
    summary = result.summary
    parts: list[RenderableType] = [
        _title(f"What came in, {_day(summary.data_from)} to {_day(summary.data_until)}"),
        _table(
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
        _title("What was built"),
        _table(["layer", "rows"], _layers(summary.relations), header=False),
        _title("Who left within the horizon, of whom that is known"),
        _table(
            ["cohort", "observations", "churned", "share"],
            [
                [each.cohort, f"{each.observations:,}", f"{each.churned:,}", f"{each.rate:.1%}"]
                for each in result.trained.record.label_rates
            ],
            right=("observations", "churned", "share"),
        ),
        _title("How well the model tells it beforehand"),
        *_judgement(result),
    ]
    if summary.customers:
        parts += [
            _title("Whom to call first, for a year's money at risk, and why"),
            _table(
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
        parts += [_title("Warnings", "yellow"), *_lines(result.warnings)]
    if result.notes:
        parts += [_title("Notes"), *_lines(result.notes)]
    parts += [_title("What to open next"), _table(["", ""], _next(settings), header=False)]
    seconds = sum(step.seconds for step in result.steps)
    parts += [
        _title(f"Done in {seconds:.0f} s"),
        _table(
            ["step", "seconds", "outcome"],
            [[step.name, f"{step.seconds:.1f}", step.outcome] for step in result.steps],
            right=("seconds",),
            header=False,
        ),
    ]
    return Group(*parts)


def pairs(values: Mapping[str, Any]) -> RenderableType:
    """Return plain values as a table of names and values; long lists are only counted."""
    return _table(
        ["", ""],
        [
            [name.replace("_", " "), _spoken(value)]
            for name, value in values.items()
            if value is not None
        ],
        header=False,
    )


def _judgement(result: RunResult) -> Iterable[RenderableType]:
    record = result.trained.record
    found = {
        (each.estimator, each.metric): each
        for each in record.evaluations
        if each.segment_type == "overall"
    }
    rows = []
    for estimator, words in _ESTIMATORS.items():
        cells = [found.get((estimator, metric)) for metric in _SHOWN_METRICS]
        if any(cells):
            rows.append(
                [words]
                + [
                    _interval(cell.value, cell.lower_bound, cell.upper_bound) if cell else ""
                    for cell in cells
                ]
            )
    if (truth := record.truth) is not None:
        rows.append(["the truth itself", f"{truth.average_precision:.3f}", f"{truth.roc_auc:.3f}"])
    yield Padding(
        Text(
            f"{record.test_rows:,} observations from {record.test_from} to {record.test_to}, none "
            "of them trained on; 95 % intervals.",
            style="dim",
        ),
        (0, 0, 0, 2),
    )
    metrics = list(_SHOWN_METRICS.values())
    yield _table(["", *metrics], rows)
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


def _spoken(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_spoken(item)}" for name, item in value.items())
    if isinstance(value, list):
        return f"{len(value)}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _rows(warehouse: Warehouse, sql: str, params: Sequence[object] = ()) -> list[dict[str, Any]]:
    return list(warehouse.query(sql, params).to_pylist())


def _count(warehouse: Warehouse, layer: str, relation: str) -> int:
    counted = warehouse.query(f'select count(*) as rows from "{layer}"."{relation}"')
    return int(counted["rows"][0].as_py())


def _short(path: Path) -> str:
    """Return a path as it is typed from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _day(moment: datetime | date) -> str:
    return f"{moment:%Y-%m-%d}"


def _title(words: str, style: str = "bold") -> RenderableType:
    return Padding(Text(words, style=f"bold {style}"), (1, 0, 0, 0))


def _lines(sentences: Sequence[str]) -> list[RenderableType]:
    return [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in sentences]


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    header: bool = True,
) -> RenderableType:
    table = Table(box=None, show_header=header, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # As text: a customer's id may look like markup.
        table.add_row(*(Text(cell) for cell in row))
    return Padding(table, (0, 0, 0, 2))
