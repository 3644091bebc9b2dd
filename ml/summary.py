"""What a run leaves behind, summed up for the person who started it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.settings import Settings
from ml.warehouse import Relation, Warehouse, open_warehouse

_LAYERS = ("silver", "gold", "marts")
# Of a layer, what a person counts: gold's families have the rows of customer_360, one by one.
_FAMILIES = "features_"


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
    with open_warehouse(settings, read_only=True) as warehouse:
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
            RelationRows(each.schema, each.name, _count(warehouse, each))
            for each in sorted(
                warehouse.relations(_LAYERS),
                key=lambda each: (_LAYERS.index(each.schema), each.name),
            )
            if not each.name.startswith(_FAMILIES)
        ]
        customers = _rows(
            warehouse,
            "select priority, customer_id, value_tier, churn_probability, revenue_at_risk, "
            "reason_1, reason_2, reason_3 from marts.retention_worklist order by priority limit $1",
            [settings.summary.customers],
        )
    return Summary(
        data_from=clock["data_from"],
        data_until=clock["data_until"],
        intake=tuple(Intake(**row) for row in intake),
        rejects=tuple(Rejects(**row) for row in rejects),
        relations=tuple(relations),
        customers=tuple(_customer(row) for row in customers),
    )


def _rows(warehouse: Warehouse, sql: str, params: Sequence[object] = ()) -> list[dict[str, Any]]:
    return list(warehouse.query(sql, params).to_pylist())


def _count(warehouse: Warehouse, relation: Relation) -> int:
    counted = warehouse.query(f"select count(*) as rows from {relation}")
    return int(counted["rows"][0].as_py())


def _customer(row: dict[str, Any]) -> CustomerToCall:
    reasons = (row[f"reason_{place}"] for place in (1, 2, 3))
    return CustomerToCall(
        priority=row["priority"],
        customer_id=row["customer_id"],
        value_tier=row["value_tier"],
        churn_probability=float(row["churn_probability"]),
        revenue_at_risk=float(row["revenue_at_risk"]),
        reasons=tuple(reason for reason in reasons if reason is not None),
    )
