"""Gold agrees, on every cell, with a second computation straight from the raw files."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reference
from conftest import Demo, settings_in
from reference import Rules

from ml.dbt import run_dbt
from ml.settings import Settings

MICROSECOND = pd.Timedelta(microseconds=1)
TABLES = ("observations", "customer_360", "churn_labels")


def build_gold(folder: Path, rules: Rules, **more: object) -> Settings:
    """Run seeds and models up to gold on `folder`/local/raw; return where everything lies."""
    return run_gold(folder, rules, **more)[0]


def run_gold(folder: Path, rules: Rules, **more: object) -> tuple[Settings, tuple[str, ...]]:
    """Build gold, and return also what the models noted while they ran."""
    given = {**asdict(rules), **more}
    del given["windows"]
    settings = settings_in(folder, **given)
    kinds = ["--resource-type", "seed", "--resource-type", "model"]
    result = run_dbt(settings, ["build", "--select", "+path:models/gold", *kinds])
    return settings, result.notes


def assert_agrees(settings: Settings, rules: Rules) -> int:
    """Compare every cell of the three tables; return how many."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        dates = [
            pd.Timestamp(date)
            for (date,) in connection.execute(
                "select as_of_date from gold.as_of_dates order by as_of_date"
            ).fetchall()
        ]
        actual = {name: reference.read_gold(connection, f"gold.{name}") for name in TABLES}
    expected = reference.compute(settings.raw_dir, dates, rules)
    cells, reports = 0, []
    for name in TABLES:
        table, scales = actual[name]
        comparison = reference.compare(getattr(expected, name), table, expected.scales, scales)
        cells += comparison.cells
        if not comparison.is_equal:
            reports.append(f"gold.{name}\n{comparison.report}")
    assert not reports, "\n\n".join(reports)
    assert cells
    return cells


# ---- rows that sit on the edges ------------------------------------------------------------------

DATES = tuple(pd.date_range("2024-03-01", "2025-03-01", freq="MS"))
SPANS = (0, 1, 7, 14, 21, 28, 30, 31, 60, 61, 90, 120, 180, 181, 365)
WORDS = (
    "terrible", "great", "cancel", "leaving", "furious", "upset", "praise",
    "nice", "bug", "crash", "invoice", "how", "refund", "nothing",
    "thanks", "angry", "the", "slow", "complaint", "love", "VAT", "Question:", "it's", "unusable!",
)  # fmt: skip


class Hostile:
    """Random rows whose moments lie on, or a microsecond beside, the edges of windows."""

    def __init__(self, seed: int, customers: int) -> None:
        self.chance = random.Random(seed)
        self.customers = [f"c{number:03d}" for number in range(customers)]
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def moment(self) -> pd.Timestamp:
        """Pick a moment at an edge, or any."""
        edge = self.chance.choice(DATES) - pd.Timedelta(days=self.chance.choice(SPANS))
        shift = self.chance.choice((0, 0, -1, 1, 1_000_000, -1_000_000, 43_200_000_000))
        if self.chance.random() < 0.4:
            shift = self.chance.randrange(86_400_000_000)
            edge -= pd.Timedelta(days=self.chance.randrange(45))
        return edge + shift * MICROSECOND

    def later(self, moment: pd.Timestamp) -> pd.Timestamp:
        """Pick a moment at or after another: soon, at the next midnight, or weeks on."""
        way = self.chance.randrange(6)
        if way == 0:
            return moment
        if way == 1:
            return moment.floor("D") + pd.Timedelta(days=1)
        if way == 2:
            return moment.floor("D") + pd.Timedelta(days=1) - MICROSECOND
        if way == 3:
            return next((date for date in DATES if date >= moment), moment)
        reach = 86_400 * (1 if way == 4 else 45)
        return moment + pd.Timedelta(seconds=self.chance.randrange(reach))

    def one(self, *values: Any) -> Any:
        """Pick one of the values."""
        return self.chance.choice(values)

    def add(self, entity: str, **row: Any) -> None:
        """Add a row, sometimes twice and sometimes broken."""
        rows = self.rows.setdefault(entity, [])
        rows.append(row)
        if self.chance.random() < 0.02:
            rows.append(dict(row))
        if self.chance.random() < 0.02:
            rows.append(row | {self.one("customer_id", "known_at"): None})

    def add_versions(
        self, entity: str, row: dict[str, Any], changes: Sequence[Mapping[str, Callable[[], Any]]]
    ) -> None:
        """Add a first version and later ones that change some columns; no two known at once."""
        known = self.later(max(value for value in self.events(entity, row)))
        self.add(entity, **row, known_at=known)
        for change in changes:
            row = row | {name: pick() for name, pick in change.items()}
            latest = max([known + self.one(1, 1_000_000) * MICROSECOND, *self.events(entity, row)])
            known = self.later(latest)
            self.add(entity, **row, known_at=known)

    @staticmethod
    def events(entity: str, row: Mapping[str, Any]) -> list[pd.Timestamp]:
        """Moments of a row that cannot lie after it is known."""
        columns = reference.contract(entity)
        clocks = [name for name, meta in columns.items() if meta.get("clock") == "event"]
        floor = pd.Timestamp("2023-01-01")
        return [floor, *(row[name] for name in clocks if row.get(name) is not None)]

    def write(self, raw: Path) -> None:
        """Write one Parquet file an entity, its rows in random order."""
        raw.mkdir(parents=True, exist_ok=True)
        kinds = {
            "string": pa.string(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_(),
            "integer": pa.int32(), "decimal(18,2)": pa.decimal128(18, 2),
            "decimal(18,6)": pa.decimal128(18, 6),
        }  # fmt: skip
        for entity, rows in self.rows.items():
            self.chance.shuffle(rows)
            schema = pa.schema(
                [(name, kinds[meta["type"]]) for name, meta in reference.contract(entity).items()]
            )
            pq.write_table(pa.Table.from_pylist(rows, schema), raw / f"{entity}.parquet")


def hostile(raw: Path, seed: int, customers: int, grace_days: int) -> None:
    """Write raw rows that sit on the edges of everything the contract names."""
    world = Hostile(seed, customers)
    for customer in world.customers:
        _hostile_customer(world, customer)
        _hostile_subscriptions(world, customer, grace_days)
        _hostile_activity(world, customer)
        _hostile_tickets(world, customer)
        _hostile_invoices(world, customer)
        _hostile_orders(world, customer)
        _hostile_touches(world, customer)
    for entity in ("activity", "orders"):
        rows = world.rows[entity]
        for row in [row for row in rows if row["known_at"] is not None][::25]:
            known = row["known_at"] + world.one(1, 86_400_000_000) * MICROSECOND
            other = {"quantity": 77} if entity == "activity" else {"amount": Decimal("777.77")}
            rows.append(row | other | {"known_at": known})
            rows.append(row | {"known_at": known + MICROSECOND})
    world.write(raw)


def _hostile_customer(world: Hostile, customer: str) -> None:
    one = world.one
    row: dict[str, Any] = {
        "customer_id": customer,
        "signed_up_at": world.moment(),
        "segment": one("a", "b", None),
        "industry": one("x", None),
        "country": one("NO", "DE"),
        "company_size": None,
        "acquisition_channel": one("ads", ""),
        "is_deleted": one(False, None),
    }
    changes: list[Mapping[str, Callable[[], Any]]] = [
        {"segment": lambda: one("a", "b", None), "is_deleted": lambda: one(False, None, True)},
        {"signed_up_at": world.moment, "country": lambda: "SE"},
        {"is_deleted": lambda: False},
    ]
    world.add_versions("customers", row, changes[: world.chance.randrange(4)])


def _hostile_subscriptions(world: Hostile, customer: str, grace_days: int) -> None:
    one = world.one
    amounts = [Decimal(text) for text in ("0", "500", "999.99", "1000", "9999.99", "10000", "0.01")]

    def amount() -> Decimal | None:
        return one(*amounts, None)

    def plan() -> str | None:
        return one("basic", "pro", "pro", None)

    def near(*days: int) -> pd.Timestamp:
        """Pick a moment so many days after an as-of date, or a microsecond beside it."""
        beside = one(-1, 0, 0, 1) * MICROSECOND
        return one(*DATES) + pd.Timedelta(days=one(*days)) + beside

    def maybe() -> pd.Timestamp | None:
        return one(None, world.moment(), near(0, 60, 60, 61))

    start = world.moment()
    for number in range(world.chance.randrange(1, 5)):
        row: dict[str, Any] = {
            "subscription_id": f"{customer}s{number}",
            "customer_id": customer,
            "plan": plan(),
            "mrr": amount(),
            "seats": one(None, 0, 3),
            "discount_ratio": one(None, Decimal("0"), Decimal("1"), Decimal("0.333333")),
            "billing_period_months": one(None, 1, 12),
            "auto_renew": one(None, True, False),
            "started_at": start,
            "renews_at": maybe(),
            "cancelled_at": None,
            "ended_at": None,
            "end_reason": None,
        }
        # At an as-of date and at the ends of both horizons, where churn starts and stops to count.
        stop = one(world.moment(), near(0, 0, 30, 90))
        stop = max(stop, start + one(-1, 0, 1) * MICROSECOND)

        def stopped(stop: pd.Timestamp = stop) -> pd.Timestamp | None:
            return one(stop, stop, None)

        possible: list[Mapping[str, Callable[[], Any]]] = [
            {"plan": plan, "mrr": amount, "renews_at": maybe},
            {"cancelled_at": stopped},
            {"ended_at": lambda stop=stop: stop + one(-1, 0, 1, 10) * pd.Timedelta(days=3)},
            {"cancelled_at": stopped, "ended_at": stopped, "end_reason": lambda: "why"},
            {"cancelled_at": lambda: None, "plan": plan},
            {"customer_id": lambda: one(customer, world.one(*world.customers))},
            {"started_at": lambda start=start: start + one(-2, 3) * pd.Timedelta(days=1)},
        ]
        chosen = world.chance.sample(possible, world.chance.randrange(5))
        world.add_versions("subscriptions", row, chosen)
        back = one(-1, 0, 1, 86_400_000_000) * MICROSECOND
        start = stop + pd.Timedelta(days=grace_days) + back if one(0, 1) else world.moment()


def _hostile_activity(world: Hostile, customer: str) -> None:
    one = world.one
    for number in range(world.chance.randrange(60)):
        happened = world.moment()
        world.add(
            "activity",
            activity_id=f"{customer}a{number}",
            customer_id=customer,
            user_id=one("u1", None),
            occurred_at=happened,
            action=one("login", "sso", "use", "onboarding_import", "onboarding_invite", "view"),
            feature=one(None, "reports", "export", "api", "maps"),
            quantity=one(1, 2, 9, 0 if one(*range(20)) == 0 else 3),
            minutes=one(None, Decimal("0"), Decimal("0.01"), Decimal("12.35")),
            known_at=world.later(happened) - (1 if one(*range(30)) == 0 else 0) * MICROSECOND,
        )


def _hostile_tickets(world: Hostile, customer: str) -> None:
    one = world.one
    for number in range(world.chance.randrange(16)):
        opened = world.moment()

        def text() -> str | None:
            return one(None, "", " ".join(world.chance.choices(WORDS, k=world.one(1, 2, 2, 7))))

        def after(opened: pd.Timestamp = opened) -> pd.Timestamp | None:
            return one(None, world.later(opened), opened, opened + pd.Timedelta(days=40))

        row: dict[str, Any] = {
            "ticket_id": f"{customer}t{number}",
            "customer_id": customer,
            "opened_at": opened,
            "first_response_at": None,
            "resolved_at": None,
            "escalated_at": None,
            "priority": one("high", None),
            "category": None,
            "channel": "email",
            "csat_score": None,
            "csat_at": None,
            "subject": text(),
            "body": text(),
        }
        possible: list[Mapping[str, Callable[[], Any]]] = [
            {"resolved_at": after},
            {"escalated_at": after},
            {"csat_score": lambda: one(1, 3, 5, 6, None), "csat_at": after},
            {"resolved_at": lambda: None},
            {"subject": text},
            {"resolved_at": after, "csat_score": lambda: 4, "csat_at": after},
            {"opened_at": lambda opened=opened: opened - pd.Timedelta(days=1)},
        ]
        chosen = world.chance.sample(possible, world.chance.randrange(5))
        world.add_versions("tickets", row, chosen)


def _hostile_invoices(world: Hostile, customer: str) -> None:
    one = world.one
    for number in range(world.chance.randrange(8)):
        issued = world.moment()

        def after(issued: pd.Timestamp = issued) -> pd.Timestamp:
            return one(world.later(issued), issued, issued + pd.Timedelta(days=14))

        row: dict[str, Any] = {
            "invoice_id": f"{customer}i{number}",
            "customer_id": customer,
            "subscription_id": one(None, f"{customer}s0"),
            "issued_at": issued,
            "due_at": one(None, after(), issued + pd.Timedelta(days=14)),
            "paid_at": None,
            "failed_at": None,
            "amount": one(Decimal("100"), Decimal("0.01"), Decimal("-5"), Decimal("12345.67")),
            "refunded_amount": None,
            "refunded_at": None,
        }
        possible: list[Mapping[str, Callable[[], Any]]] = [
            {"failed_at": after},
            {"paid_at": after},
            {"paid_at": lambda row=row: row["due_at"]},
            {"paid_at": lambda: None},
            {"refunded_amount": lambda: one(Decimal("1"), Decimal("-1")), "refunded_at": after},
            {"amount": lambda: Decimal("88.88")},
        ]
        chosen = world.chance.sample(possible, world.chance.randrange(4))
        world.add_versions("invoices", row, chosen)


def _hostile_orders(world: Hostile, customer: str) -> None:
    one = world.one
    for number in range(world.chance.randrange(15)):
        ordered = world.moment()
        is_return = one(False, None, None, True)
        world.add(
            "orders",
            order_id=f"{customer}o{number}",
            customer_id=customer,
            ordered_at=ordered,
            amount=one(Decimal("10"), Decimal("0.01"), Decimal("33.33")) * (-1 if is_return else 1),
            items=one(None, 1, -1),
            category=None,
            is_return=is_return,
            known_at=world.later(ordered),
        )


def _hostile_touches(world: Hostile, customer: str) -> None:
    one = world.one
    for number in range(world.chance.randrange(8)):
        sent = world.moment()

        def after(sent: pd.Timestamp = sent) -> pd.Timestamp | None:
            return one(None, world.later(sent), sent)

        row: dict[str, Any] = {
            "touch_id": f"{customer}h{number}",
            "customer_id": customer,
            "sent_at": sent,
            "channel": one("email", None),
            "campaign": None,
            "action_id": "call",
            "is_holdout": one(True, False, None),
            "cost": one(None, Decimal("0"), Decimal("-0.01") if one(*range(9)) == 0 else None),
            "opened_at": None,
            "clicked_at": None,
            "accepted_at": None,
        }
        possible: list[Mapping[str, Callable[[], Any]]] = [
            {"opened_at": after},
            {"clicked_at": after},
            {"accepted_at": after},
            {"opened_at": lambda: None},
            {"is_holdout": lambda: one(True, False)},
        ]
        chosen = world.chance.sample(possible, world.chance.randrange(4))
        world.add_versions("touches", row, chosen)


# ---- the claims ----------------------------------------------------------------------------------


def test_gold_of_the_demo_company_agrees(demo: Demo) -> None:
    assert_agrees(demo.settings, Rules())


@pytest.mark.parametrize(
    ("rules", "cadence", "customers"),
    [
        (Rules(), "month", 120),
        (Rules(grace_days=10, label_delay_days=5, login_actions=("login", "sso")), "week", 50),
        (Rules(churn_definition="inactivity", inactivity_days=60), "month", 120),
    ],
    ids=["subscription", "short grace and weeks", "inactivity"],
)
def test_gold_of_rows_on_every_edge_agrees(
    tmp_path: Path, rules: Rules, cadence: str, customers: int
) -> None:
    raw = tmp_path / "local" / "raw"
    hostile(raw, seed=5, customers=customers, grace_days=rules.grace_days)
    settings = build_gold(tmp_path, rules, cadence=cadence, reject_ratio_max=NO_LIMIT)
    assert_agrees(settings, rules)


def test_known_until_gives_the_cells_of_that_past(tmp_path: Path) -> None:
    rules = Rules(known_until="2024-10-01")
    hostile(tmp_path / "local" / "raw", seed=6, customers=60, grace_days=30)
    settings = build_gold(tmp_path, rules, reject_ratio_max=NO_LIMIT)
    assert_agrees(settings, rules)
    # The reference of all rows, uncut, holds the same cells at these dates.
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        table, scales = reference.read_gold(connection, "gold.customer_360")
    dates = [pd.Timestamp(moment, unit="us") for moment in sorted(set(table["as_of_date"]))]
    uncut = reference.compute(settings.raw_dir, dates, replace(rules, known_until=None))
    comparison = reference.compare(uncut.customer_360, table, uncut.scales, scales)
    assert comparison.is_equal, comparison.report


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("logins_30d", lambda value: value + 1),
        ("segment", lambda value: None),
        ("auto_renew", lambda value: not value),
    ],
)
def test_one_other_cell_is_found(column: str, change: Callable[[Any], Any]) -> None:
    table = pd.DataFrame(
        {
            "as_of_date": pd.array([0, 0], "Int64"),
            "customer_id": ["a", "b"],
            "logins_30d": pd.array([1, None], "Int64"),
            "segment": ["x", None],
            "auto_renew": pd.array([True, None], "boolean"),
        }
    )
    scales = dict.fromkeys(table.columns, 0)
    assert reference.compare(table, table.copy(), scales, scales).is_equal
    other = table.astype(object).copy()
    other.loc[0, column] = change(table.loc[0, column])
    found = reference.compare(table, other, scales, scales)
    assert found.differences == {column: 1}
    assert f"{column}: customer a at 1970-01-01" in found.report
    assert reference.compare(table, table.head(1), scales, scales).differences == {
        "rows only in the reference": 1
    }


NO_LIMIT = dict.fromkeys(
    ("customers", "subscriptions", "activity", "tickets", "invoices", "orders", "touches"), 1
)
