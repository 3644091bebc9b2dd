"""The demo company: seven inputs as a real source would send them, and the truth beside them.

Everything follows from the seed: customers are drawn in groups of a fixed size, each with chance
of its own, so the same seed gives the same rows whatever the number of threads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from ml.errors import UsageError
from ml.simulate import hazard as hz
from ml.simulate.activity import (
    ACTIVITY_KINDS,
    FEATURES,
    ORDER_KINDS,
    make_activity,
    make_orders,
)
from ml.simulate.billing import INVOICE_KINDS, SUBSCRIPTION_KINDS, make_billing
from ml.simulate.columns import Columns, Identifier, Kind, arrow_schema, encode
from ml.simulate.customers import CUSTOMER_KINDS, make_customers
from ml.simulate.dirt import DirtCounts, Entity, soil
from ml.simulate.population import COUNTRIES, INDUSTRIES, draw_population
from ml.simulate.story import tell_story
from ml.simulate.support import TICKET_KINDS, make_tickets
from ml.simulate.timeline import Timeline
from ml.simulate.touches import TOUCH_KINDS, make_touches
from ml.simulate.truth import Truth, tell_truth
from ml.simulate.writer import TableWriter, replacing

__all__ = ["SimulationSummary", "simulate"]

KINDS: dict[str, dict[str, Kind]] = {
    "customers": CUSTOMER_KINDS,
    "subscriptions": SUBSCRIPTION_KINDS,
    "activity": ACTIVITY_KINDS,
    "tickets": TICKET_KINDS,
    "invoices": INVOICE_KINDS,
    "orders": ORDER_KINDS,
    "touches": TOUCH_KINDS,
}
ENTITIES = (
    Entity(
        "customers",
        "customer_id",
        False,
        "signed_up_at",
        {"industry": len(INDUSTRIES), "country": len(COUNTRIES)},
        {},
    ),
    Entity(
        "subscriptions",
        "subscription_id",
        False,
        "cancelled_at",
        {"seats": 0},
        {"mrr": (-5_000, -100), "discount_ratio": (1_500_000, -100_000)},
    ),
    Entity(
        "activity",
        "activity_id",
        True,
        "occurred_at",
        {},
        {"quantity": (0, -1, -3)},
        "quantity",
    ),
    Entity(
        "tickets",
        "ticket_id",
        False,
        "resolved_at",
        {"priority": 4, "category": 6},
        {"csat_score": (0, 6, 9)},
    ),
    Entity(
        "invoices",
        "invoice_id",
        False,
        "paid_at",
        {"amount": 0},
        {"refunded_amount": (-100, -5_000)},
    ),
    Entity("orders", "order_id", True, "ordered_at", {}, {}, "amount"),
    Entity("touches", "touch_id", False, "opened_at", {"campaign": 4}, {"cost": (-100,)}),
)
PROBABILITY_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("horizon_days", pa.int32()),
        ("churn_probability_30d", pa.float64()),
        ("churn_probability_90d", pa.float64()),
        ("churn_probability_horizon", pa.float64()),
        ("hidden_state", pa.string()),
    ]
)
EFFECT_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("action_id", pa.string()),
        ("horizon_days", pa.int32()),
        ("effect_on_churn_probability", pa.float64()),
    ]
)
TRUTH_FILES = ("monthly_churn.parquet", "action_effects.parquet", "parameters.json")

# Small enough for memory, large enough for whole-array work; part of what a seed means.
_GROUP = 5_000
_ID_SPAN = 100_000_000
_SPARE_IDS = 90_000_000
_WORKERS = 2

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SimulationSummary:
    """What was written.

    Attributes
    ----------
    out, truth : Path
        The folder of the inputs, and that of the truth beside it.
    rows : mapping of str to int
        Rows by table.
    churned_voluntary, churned_involuntary, returned_within_grace : int
        Ends of being a customer within the simulated time.
    late, repeats, corrections : mapping of str to int
        Facts known a day late or more, exact repeats and corrections, by entity.
    broken : mapping of str to mapping of str to int
        Rows that break the contract, by entity and reason.
    truth_auc, truth_average_precision : float
        How well the true probability ranks what then happened, over customers and month starts
        whose horizon and grace had passed; nan when only one class did.
    truth_rows, truth_churned : int
        On how many rows, and how many churned.
    """

    out: Path
    truth: Path
    customers: int
    months: int
    seed: int
    start: date
    rows: Mapping[str, int]
    churned_voluntary: int
    churned_involuntary: int
    returned_within_grace: int
    late: Mapping[str, int]
    repeats: Mapping[str, int]
    corrections: Mapping[str, int]
    broken: Mapping[str, Mapping[str, int]]
    truth_auc: float
    truth_average_precision: float
    truth_rows: int
    truth_churned: int


@dataclass(frozen=True)
class _Group:
    """One group of customers, ready to write."""

    tables: dict[str, pa.Table]
    truth: dict[str, pa.Table]
    dirt: dict[str, DirtCounts]
    leaving: dict[str, int]
    scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass
class _Tally:
    """What was written so far."""

    dirt: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    leaving: Counter[str] = field(default_factory=Counter)
    scores: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = field(default_factory=list)
    labels: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]] = field(default_factory=list)


def simulate(
    *,
    customers: int,
    months: int,
    seed: int,
    out: Path,
    start: date = date(2024, 1, 1),
    progress: Progress | None = None,
) -> SimulationSummary:
    """Write a demo company: its seven inputs to `out`, the truth to the folder `truth` beside it.

    Parameters
    ----------
    customers : int
        How many customers sign up within the time, 1 or more.
    months : int
        Length of the time, 1 or more.
    seed : int
        Everything follows from it, 0 or more.
    out : Path
        A folder that is absent, empty, or holds an earlier demo company, which is replaced.
    start : datetime.date
        The first day; the data ends `months` later at midnight.
    progress : callable, optional
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    UsageError
        When an argument is out of range, or `out` holds something else.
    HoldfastError
        When the files cannot be written; nothing is changed then.
    """
    _check_arguments(customers, months, seed, out)
    out = out.resolve()
    truth = out.parent / "truth"
    report = progress or (lambda stage, share: None)
    report("drawing calendars", 0.0)
    timeline = Timeline.build(start, months)
    # The inputs last: where they lie, all is there.
    files = {truth: list(TRUTH_FILES), out: [f"{name}.parquet" for name in KINDS]}
    tally = _Tally()
    with replacing(files) as parts:
        schemas = {name: arrow_schema(kinds) for name, kinds in KINDS.items()}
        inputs = TableWriter(parts[out], schemas)
        truths = TableWriter(
            parts[truth], {"monthly_churn": PROBABILITY_SCHEMA, "action_effects": EFFECT_SCHEMA}
        )
        try:
            _write_groups(timeline, customers, seed, inputs, truths, tally, report)
        finally:
            inputs.close()
            truths.close()
        summary = _summary(
            tally, inputs.rows | truths.rows, out, truth, customers, months, seed, start
        )
        parameters = parts[truth] / "parameters.json"
        parameters.write_text(json.dumps(_parameters(summary), indent=2, default=str) + "\n")
        report("moving in place", 1.0)
    return summary


def _check_arguments(customers: int, months: int, seed: int, out: Path) -> None:
    """Raise UsageError unless the arguments are in range."""
    for name, value, least in (
        ("customers", customers, 1),
        ("months", months, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise UsageError(
                f"Expected --{name} to be {least} or more, got {value}. Call again with another."
            )
    if months > 120:
        raise UsageError(f"Expected --months to be 120 or less, got {months}.")
    if out.resolve().name == "truth":
        raise UsageError(
            f"Expected --out to be a folder for the inputs, got {out}: the truth is written to a "
            "folder of that name beside it. Choose another name."
        )


def _write_groups(
    timeline: Timeline,
    customers: int,
    seed: int,
    inputs: TableWriter,
    truths: TableWriter,
    tally: _Tally,
    report: Progress,
) -> None:
    """Make the groups side by side, and write them in order."""
    starts = range(0, customers, _GROUP)
    with ThreadPoolExecutor(_WORKERS) as pool:
        waiting: list[Future[_Group]] = []
        numbers = iter(enumerate(starts))

        def submit() -> None:
            for number, first in numbers:
                count = min(_GROUP, customers - first)
                waiting.append(pool.submit(_make_group, timeline, seed, number, first, count))
                return

        for _ in range(_WORKERS):
            submit()
        done = 0
        try:
            while waiting:
                group = waiting.pop(0).result()
                submit()
                for name, table in group.tables.items():
                    inputs.write(name, table)
                for name, table in group.truth.items():
                    truths.write(name, table)
                _count(tally, group)
                done = min(done + _GROUP, customers)
                report(f"{done:,} of {customers:,} customers", done / customers)
        finally:
            for future in waiting:
                future.cancel()


def _make_group(timeline: Timeline, seed: int, number: int, first: int, count: int) -> _Group:
    """Return everything about one group of customers."""
    chance = [
        np.random.Generator(np.random.SFC64(part))
        for part in np.random.SeedSequence([seed, number]).spawn(9)
    ]
    first_id = number * _ID_SPAN + 1
    people = draw_population(chance[0], timeline, first + 1, count)
    story = tell_story(chance[1], timeline, people)
    touches, accepted_at = make_touches(chance[2], timeline, people, story, first_id)
    subscriptions, invoices = make_billing(
        chance[3], timeline, people, story, accepted_at, first_id
    )
    made: dict[str, Columns] = {
        "customers": make_customers(chance[4], timeline, people, story),
        "subscriptions": subscriptions,
        "activity": make_activity(chance[5], timeline, people, story, first_id),
        "tickets": make_tickets(chance[6], timeline, people, story, first_id),
        "invoices": invoices,
        "orders": make_orders(chance[7], timeline, people, story, first_id),
        "touches": touches,
    }
    tables, dirt = {}, {}
    for entity in ENTITIES:
        # Customers' ids are shorter: those that no customer has begin high up.
        spare = (
            _SPARE_IDS + number * 100_000 if entity.name == "customers" else first_id + _SPARE_IDS
        )
        columns, dirt[entity.name] = soil(
            chance[8], entity, made.pop(entity.name), timeline.end, spare
        )
        tables[entity.name] = encode(columns, KINDS[entity.name])
    truth = tell_truth(timeline, people, story)
    spells = story.spells
    is_mature = truth.is_mature == 1
    return _Group(
        tables=tables,
        truth=_truth_tables(timeline, truth, people.number[truth.customer]),
        dirt=dirt,
        leaving={
            "voluntary": int((spells.is_churn & ~spells.is_involuntary).sum()),
            "involuntary": int((spells.is_churn & spells.is_involuntary).sum()),
            "within_grace": int(spells.is_before_break.sum()),
        },
        scores=truth.probability[is_mature],
        labels=truth.is_churn[is_mature],
    )


def _truth_tables(
    timeline: Timeline,
    truth: Truth,
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> dict[str, pa.Table]:
    """Return the truth as tables: probabilities, and effects of actions."""
    ids = Identifier("c", 8).encode(numbers)
    epoch = np.datetime64(timeline.start, "D")
    dates = pa.array(epoch + truth.day, pa.date32())
    horizons = pa.array(truth.horizon, pa.int32())
    probabilities = pa.Table.from_arrays(
        [
            ids,
            dates,
            horizons,
            pa.array(truth.probability_30d),
            pa.array(truth.probability_90d),
            pa.array(truth.probability),
            pa.array(hz.STATES).take(pa.array(truth.state)),
        ],
        schema=PROBABILITY_SCHEMA,
    )
    rows = pa.array(np.repeat(np.arange(len(numbers)), len(hz.ACTIONS)))
    actions = pa.array(np.tile(np.arange(len(hz.ACTIONS)), len(numbers)))
    effects = pa.Table.from_arrays(
        [
            ids.take(rows),
            dates.take(rows),
            pa.array(hz.ACTIONS).take(actions),
            horizons.take(rows),
            pa.array(truth.effects.ravel()),
        ],
        schema=EFFECT_SCHEMA,
    )
    return {"monthly_churn": probabilities, "action_effects": effects}


def _count(tally: _Tally, group: _Group) -> None:
    """Add a group to the tally."""
    for name, counts in group.dirt.items():
        kinds = tally.dirt.setdefault(name, {"whole": Counter(), "broken": Counter()})
        kinds["whole"].update(
            late=counts.late, repeats=counts.repeats, corrections=counts.corrections
        )
        kinds["broken"].update(counts.broken)
    tally.leaving.update(group.leaving)
    tally.scores.append(group.scores)
    tally.labels.append(group.labels)


def _summary(
    tally: _Tally,
    rows: Mapping[str, int],
    out: Path,
    truth: Path,
    customers: int,
    months: int,
    seed: int,
    start: date,
) -> SimulationSummary:
    """Return the summary of all groups."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, labels = np.concatenate(tally.scores), np.concatenate(tally.labels)
    has_both = 0 < labels.sum() < len(labels)
    whole = {name: kinds["whole"] for name, kinds in tally.dirt.items()}
    return SimulationSummary(
        out=out,
        truth=truth,
        customers=customers,
        months=months,
        seed=seed,
        start=start,
        rows=dict(rows),
        churned_voluntary=tally.leaving["voluntary"],
        churned_involuntary=tally.leaving["involuntary"],
        returned_within_grace=tally.leaving["within_grace"],
        late={name: counts["late"] for name, counts in whole.items() if counts["late"]},
        repeats={name: counts["repeats"] for name, counts in whole.items()},
        corrections={
            name: counts["corrections"] for name, counts in whole.items() if counts["corrections"]
        },
        broken={name: dict(kinds["broken"]) for name, kinds in tally.dirt.items()},
        truth_auc=float(roc_auc_score(labels, scores)) if has_both else float("nan"),
        truth_average_precision=(
            float(average_precision_score(labels, scores)) if has_both else float("nan")
        ),
        truth_rows=len(labels),
        truth_churned=int(labels.sum()),
    )


def _parameters(summary: SimulationSummary) -> dict[str, object]:
    """Return what the truth was made with, for readers of the truth folder."""
    described = asdict(summary)
    # A folder of this machine says nothing about the company.
    del described["out"], described["truth"]
    return {
        "summary": described,
        "about": (
            "monthly_churn: the chance, from the hidden state at the start of as_of_date and "
            "nothing later, that the customer churns within 30, 90 and the cohort's horizon_days. "
            "action_effects: by how much the action, taken then, changes that chance."
        ),
        "states": hz.STATES,
        "leave_rates_a_day": hz.LEAVE_RATES.tolist(),
        "moves_a_day": hz.MOVES.tolist(),
        "actions": hz.ACTIONS,
        "touch_effects": hz.TOUCH_EFFECTS.tolist(),
        "holdout_share": hz.HOLDOUT_SHARE,
        "features": FEATURES,
    }
