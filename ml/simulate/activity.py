"""What customers do in the product, and the one-off orders they place."""

from __future__ import annotations

import numpy as np

from ml.simulate import hazard as hz
from ml.simulate.columns import BOOLEAN as BOOLEAN
from ml.simulate.columns import (
    INTEGER,
    MINUTE,
    MONEY,
    NULL,
    SECOND,
    TIMESTAMP,
    Columns,
    Floats,
    Identifier,
    Ints,
    Kind,
    Words,
    stack,
)
from ml.simulate.population import FEATURE_COUNT, Population
from ml.simulate.story import Story
from ml.simulate.timeline import Timeline

FEATURES = (
    "dashboards",
    "alerts",
    "reports",
    "automation",
    "integrations",
    "search",
    "sharing",
    "templates",
    "forecasts",
    "segments",
    "mobile_app",
    "data_import",
)
ONBOARDING_STEPS = ("profile", "import", "invite", "integrate", "first_report")
EXTRA_ACTIONS = ("export", "invite", "comment", "api_call")
_ACTION_NAMES = (
    "login",
    "use_feature",
    *EXTRA_ACTIONS,
    *(f"onboarding_{step}" for step in ONBOARDING_STEPS),
)
LOGIN, USE_FEATURE, FIRST_EXTRA = 0, 1, 2
FIRST_STEP = FIRST_EXTRA + len(EXTRA_ACTIONS)

ACTIVITY_KINDS: dict[str, Kind] = {
    "activity_id": Identifier("a"),
    "customer_id": Identifier("c", 8),
    "user_id": Identifier("u"),
    "occurred_at": TIMESTAMP,
    "action": Words(_ACTION_NAMES),
    "feature": Words(FEATURES),
    "quantity": INTEGER,
    "minutes": MONEY,
    "known_at": TIMESTAMP,
}
ORDER_CATEGORIES = ("add_on", "service", "training_seat", "hardware")
ORDER_KINDS: dict[str, Kind] = {
    "order_id": Identifier("o"),
    "customer_id": Identifier("c", 8),
    "ordered_at": TIMESTAMP,
    "amount": MONEY,
    "items": INTEGER,
    "category": Words(ORDER_CATEGORIES),
    "is_return": BOOLEAN,
    "known_at": TIMESTAMP,
}

# How many features an active day touches beyond the first, and each extra action's chance.
_MORE_FEATURES = 0.2
_EXTRA_SHARES = (0.02, 0.01, 0.025, 0.015)
_ONBOARDING_DAYS = np.array([1.0, 4.0, 8.0, 13.0, 18.0])
_ORDER_BUYERS = 0.3
_ORDER_RATE = 0.006
_RETURN_SHARE = 0.06


def make_activity(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story, first_id: int
) -> Columns:
    """Return the activity of a group of customers, one row a customer, day, action and feature."""
    workload = timeline.workload[: timeline.days].astype(np.float32)
    chance = story.engagement * workload * people.diligence.astype(np.float32)[:, None]
    np.minimum(chance, np.float32(0.95), out=chance)
    customer, day = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
    level = story.engagement[customer, day].astype(np.float64)
    depth = people.depth[customer]
    users = np.minimum(people.seats[customer], 9)
    main_user = (rng.random(len(customer)) ** 2 * users).astype(np.int64)
    parts = [_logins(rng, customer, day, main_user, level, depth)]
    parts.append(_feature_uses(rng, people, customer, day, main_user, level, depth))
    for number, share in enumerate(_EXTRA_SHARES):
        rows = np.nonzero(rng.random(len(customer)) < share * (0.3 + 0.7 * level))[0]
        parts.append(
            {
                "customer": customer[rows],
                "day": day[rows],
                "user": main_user[rows],
                "action": np.full(len(rows), FIRST_EXTRA + number),
                "feature": np.full(len(rows), NULL),
                "quantity": 1 + rng.poisson(1.5 * level[rows] * depth[rows]),
                "minutes": np.full(len(rows), NULL),
            }
        )
    parts.append(_onboarding(rng, timeline, people, story))
    facts = stack(parts)
    return _dated(rng, timeline, people, facts, first_id)


def _logins(
    rng: np.random.Generator,
    customer: Ints,
    day: Ints,
    user: Ints,
    level: Floats,
    depth: Floats,
) -> Columns:
    """Return one row of logins for each active day."""
    quantity = 1 + rng.poisson(5.0 * level * depth)
    minutes = quantity * 600.0 * (0.3 + 0.7 * level) * rng.gamma(6.0, 1 / 6, len(customer))
    return {
        "customer": customer,
        "day": day,
        "user": user,
        "action": np.full(len(customer), LOGIN),
        "feature": np.full(len(customer), NULL),
        "quantity": quantity,
        "minutes": minutes.astype(np.int64),
    }


def _feature_uses(
    rng: np.random.Generator,
    people: Population,
    customer: Ints,
    day: Ints,
    user: Ints,
    level: Floats,
    depth: Floats,
) -> Columns:
    """Return the features used on each active day, each at most once."""
    uses = np.minimum(rng.poisson(0.02 + _MORE_FEATURES * level * depth), 5)
    row = np.repeat(np.arange(len(customer)), uses)
    place = np.arange(len(row)) - np.repeat(np.cumsum(uses) - uses, uses)
    # A habit of the customer decides where in the list the day starts; 5 is prime to 12.
    habit = people.number[customer] * 7 + (rng.random(len(customer)) ** 2 * 8).astype(np.int64)
    feature = (habit[row] + place * 5) % FEATURE_COUNT
    quantity = 1 + rng.poisson(2.0 * level[row] * depth[row])
    minutes = quantity * 450.0 * rng.gamma(3.0, 1 / 3, len(row))
    return {
        "customer": customer[row],
        "day": day[row],
        "user": user[row],
        "action": np.full(len(row), USE_FEATURE),
        "feature": feature,
        "quantity": quantity,
        "minutes": minutes.astype(np.int64),
    }


def _onboarding(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story
) -> Columns:
    """Return the onboarding steps done: early by the content, late or never by the others."""
    count, steps = len(people), len(ONBOARDING_STEPS)
    customer = np.repeat(np.arange(count), steps)
    step = np.tile(np.arange(steps), count)
    wait = rng.gamma(2.0, 0.5, len(step)) * _ONBOARDING_DAYS[step]
    day = people.start_day[customer] + wait.astype(np.int64)
    inside = day < timeline.days
    customer, step, day = customer[inside], step[inside], day[inside]
    keeps = rng.random(len(day)) < 0.15 + 0.8 * story.engagement[customer, day]
    keeps &= story.states[customer, day] != hz.ABSENT
    customer, step, day = customer[keeps], step[keeps], day[keeps]
    return {
        "customer": customer,
        "day": day,
        "user": np.zeros(len(day), dtype=np.int64),
        "action": FIRST_STEP + step,
        "feature": np.full(len(day), NULL),
        "quantity": np.ones(len(day), dtype=np.int64),
        "minutes": np.full(len(day), NULL),
    }


def _dated(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    facts: Columns,
    first_id: int,
) -> Columns:
    """Return the facts with ids, times within their day, and when they became known."""
    count = len(facts["day"])
    number = people.number[facts["customer"]]
    # From six in the morning; known within half an hour, still on the same day.
    occurred_at = timeline.midnight(facts["day"]) + rng.integers(21_600, 84_000, count) * SECOND
    # Days of arrival begin when the subscription does.
    is_first = facts["day"] == people.start_day[facts["customer"]]
    begun = timeline.midnight(facts["day"]) + people.clock[facts["customer"]]
    occurred_at = np.where(is_first, np.maximum(occurred_at, begun), occurred_at)
    return {
        "activity_id": first_id + np.arange(count),
        "customer_id": number,
        "user_id": number * 10 + facts["user"],
        "occurred_at": occurred_at,
        "action": facts["action"],
        "feature": facts["feature"],
        "quantity": facts["quantity"],
        "minutes": facts["minutes"],
        "known_at": occurred_at + rng.integers(30, 1_800, count) * SECOND,
    }


def make_orders(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story, first_id: int
) -> Columns:
    """Return one-off purchases, and the returns of a few of them."""
    buys = rng.random(len(people)) < _ORDER_BUYERS
    chance = story.engagement * (buys * _ORDER_RATE).astype(np.float32)[:, None]
    customer, day = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
    count = len(customer)
    items = 1 + rng.poisson(1.0, count)
    price = people.mrr[customer] * rng.uniform(0.05, 0.5, count)
    category = rng.integers(0, len(ORDER_CATEGORIES), count)
    back = np.nonzero(rng.random(count) < _RETURN_SHARE)[0]
    back_day = day[back] + rng.integers(3, 26, len(back))
    back, back_day = back[back_day < timeline.days], back_day[back_day < timeline.days]
    rows = np.concatenate([np.arange(count), back])
    sign = np.concatenate([np.ones(count, dtype=np.int64), np.full(len(back), -1)])
    days = np.concatenate([day, back_day])
    ordered_at = timeline.midnight(days) + rng.integers(28_800, 79_200, len(rows)) * SECOND
    return {
        "order_id": first_id + np.arange(len(rows)),
        "customer_id": people.number[customer[rows]],
        "ordered_at": ordered_at,
        "amount": sign * price[rows].astype(np.int64),
        "items": sign * items[rows],
        "category": category[rows],
        "is_return": (sign < 0).astype(np.int64),
        "known_at": ordered_at + rng.integers(1, 90, len(rows)) * MINUTE,
    }
