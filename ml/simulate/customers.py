"""Versions of the customers themselves: sign-up, attributes that change, deletion."""

from __future__ import annotations

import numpy as np

from ml.simulate import population as pop
from ml.simulate.columns import (
    BOOLEAN,
    DAY,
    HOUR,
    SECOND,
    TIMESTAMP,
    Columns,
    Identifier,
    Kind,
    Words,
    stack,
    take,
)
from ml.simulate.population import Population
from ml.simulate.story import Story
from ml.simulate.timeline import NO_DAY, Timeline

CUSTOMER_KINDS: dict[str, Kind] = {
    "customer_id": Identifier("c", 8),
    "signed_up_at": TIMESTAMP,
    "segment": Words(pop.SEGMENTS),
    "industry": Words(pop.INDUSTRIES),
    "country": Words(pop.COUNTRIES),
    "company_size": Words(pop.COMPANY_SIZES),
    "acquisition_channel": Words(pop.CHANNELS),
    "is_deleted": BOOLEAN,
    "known_at": TIMESTAMP,
}

# Chances that a customer's size band or segment changes within the first two years.
_GROWTH_SHARE = 0.15
_MOVE_SHARE = 0.04
_DELETION_SHARE = 0.05


def make_customers(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story
) -> Columns:
    """Return the versions of a group of customers."""
    count = len(people)
    first = {
        "customer_id": people.number,
        "signed_up_at": people.signed_up_at,
        "segment": people.segment,
        "industry": people.industry,
        "country": people.country,
        "company_size": people.company_size,
        "acquisition_channel": people.channel,
        "is_deleted": np.zeros(count, dtype=np.int64),
        "known_at": people.signed_up_at + rng.integers(5, 110, count) * SECOND,
    }
    grown = take(first, np.nonzero(rng.random(count) < _GROWTH_SHARE)[0])
    rows = len(grown["known_at"])
    grown["company_size"] = np.clip(grown["company_size"] + rng.choice([-1, 1, 1], rows), 0, 5)
    grown["known_at"] = grown["known_at"] + rng.integers(30 * 24, 730 * 24, rows) * HOUR
    moved = take(grown, np.nonzero(rng.random(rows) < _MOVE_SHARE / _GROWTH_SHARE)[0])
    rows = len(moved["known_at"])
    moved["segment"] = np.minimum(moved["segment"] + 1, len(pop.SEGMENTS) - 1)
    moved["known_at"] = moved["known_at"] + rng.integers(1, 90, rows) * DAY
    return stack([first, grown, moved, _deletions(rng, timeline, people, story, first)])


def _deletions(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    first: Columns,
) -> Columns:
    """Return the last versions of some customers who left for good."""
    spells = story.spells
    is_last = np.append(spells.customer[1:] != spells.customer[:-1], True)
    gone = is_last & spells.is_churn & (rng.random(len(is_last)) < _DELETION_SHARE)
    owner, day = spells.customer[gone], spells.left_day[gone]
    deleted = take(first, owner)
    deleted["is_deleted"] = np.ones(len(owner), dtype=np.int64)
    wait = rng.integers(30, 120, len(owner))
    # No customer is deleted twice, and none before they left.
    assert len(np.unique(owner)) == len(owner) and (day < NO_DAY).all()
    deleted["known_at"] = (
        timeline.midnight(day + wait) + rng.integers(0, 80_000, len(owner)) * SECOND
    )
    return deleted
