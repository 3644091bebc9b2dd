"""Outbound contacts and offers, with a randomised holdout."""

from __future__ import annotations

import numpy as np

from ml.simulate import hazard as hz
from ml.simulate.columns import (
    BOOLEAN,
    HOUR,
    MINUTE,
    MONEY,
    NULL,
    SECOND,
    TIMESTAMP,
    Columns,
    Identifier,
    Ints,
    Kind,
    Words,
)
from ml.simulate.population import Population
from ml.simulate.story import Story
from ml.simulate.timeline import Timeline
from ml.simulate.versions import unfold

CHANNELS = ("email", "phone", "in_app")
CAMPAIGNS = ("save_the_date", "check_in", "skills_month", "did_you_know")
TOUCH_KINDS: dict[str, Kind] = {
    "touch_id": Identifier("h"),
    "customer_id": Identifier("c", 8),
    "sent_at": TIMESTAMP,
    "channel": Words(CHANNELS),
    "campaign": Words(CAMPAIGNS),
    "action_id": Words(hz.ACTIONS),
    "is_holdout": BOOLEAN,
    "cost": MONEY,
    "opened_at": TIMESTAMP,
    "clicked_at": TIMESTAMP,
    "accepted_at": TIMESTAMP,
    "known_at": TIMESTAMP,
}

# By action: channel, cost in hundredths.
_CHANNEL = np.array([0, 1, 0, 2])
_COST = np.array([200, 4_500, 1_500, 20])
# Chance to open, by hidden state: the absent-minded do not read.
_OPEN_SHARES = np.array([0.60, 0.35, 0.15, 0.12, 0.5, 0.55, 0.5])


def make_touches(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story, first_id: int
) -> tuple[Columns, Ints]:
    """Return the contacts' versions, and when each contact's offer was accepted (or NULL)."""
    touch = story.touches
    count = len(touch["customer"])
    sent = touch["is_holdout"] == 0
    sent_at = timeline.midnight(touch["day"]) + rng.integers(28_800, 54_000, count) * SECOND
    works = touch["is_effective"] == 1
    opens = sent & (works | (rng.random(count) < _OPEN_SHARES[touch["state"]]))
    clicks = opens & (works | (rng.random(count) < 0.3))
    accepts = clicks & (rng.random(count) < np.where(works, 0.85, 0.1))
    opened_at = sent_at + rng.integers(5, 300, count) * MINUTE
    clicked_at = opened_at + rng.integers(1, 30, count) * MINUTE
    accepted_at = clicked_at + rng.integers(20, 48 * 60, count) * MINUTE
    accepted_at = np.where(accepts, accepted_at, NULL)
    columns = {
        "touch_id": first_id + np.arange(count),
        "customer_id": people.number[touch["customer"]],
        "sent_at": sent_at,
        "channel": _CHANNEL[touch["action"]],
        "campaign": touch["action"],
        "action_id": touch["action"],
        "is_holdout": touch["is_holdout"],
        "cost": np.where(sent, _COST[touch["action"]], 0),
        "opened_at": np.where(opens, opened_at, NULL),
        "clicked_at": np.where(clicks, clicked_at, NULL),
        "accepted_at": accepted_at,
    }
    delay = rng.integers(1, 2 * HOUR // MINUTE, count) * MINUTE
    events = ("sent_at", "opened_at", "clicked_at", "accepted_at")
    return unfold(columns, events, delay=delay), accepted_at
