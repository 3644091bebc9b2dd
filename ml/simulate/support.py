"""Support tickets: how many, how bad, how well handled, in line with the hidden state."""

from __future__ import annotations

import numpy as np

from ml.simulate import hazard as hz
from ml.simulate import wording
from ml.simulate.columns import (
    INTEGER,
    MINUTE,
    NULL,
    SECOND,
    TIMESTAMP,
    Columns,
    Floats,
    Identifier,
    Ints,
    Kind,
    Words,
)
from ml.simulate.population import Population
from ml.simulate.story import Story
from ml.simulate.timeline import Timeline
from ml.simulate.versions import unfold

PRIORITIES = ("low", "normal", "high", "urgent")
CHANNELS = ("email", "chat", "phone", "portal")
TICKET_KINDS: dict[str, Kind] = {
    "ticket_id": Identifier("t"),
    "customer_id": Identifier("c", 8),
    "opened_at": TIMESTAMP,
    "first_response_at": TIMESTAMP,
    "resolved_at": TIMESTAMP,
    "escalated_at": TIMESTAMP,
    "priority": Words(PRIORITIES),
    "category": Words(wording.CATEGORIES),
    "channel": Words(CHANNELS),
    "csat_score": INTEGER,
    "csat_at": TIMESTAMP,
    "subject": Words(wording.SUBJECTS),
    "body": Words(wording.BODIES),
    "known_at": TIMESTAMP,
}

# Tickets a day by hidden state, and the chance of one on the day the state begins.
_RATES = np.array([0.007, 0.006, 0.05, 0.004, 0.14, 0.12, 0.02])
_FIRST_DAY = np.array([0.0, 0.0, 0.8, 0.0, 0.97, 0.97, 0.3])
_NEW_RATE = 0.03
_NEW_DAYS = 21
# Shares of intents (columns as in INTENTS) by hidden state.
_INTENTS = np.array(
    [
        [0.002, 0.01, 0.128, 0.25, 0.44, 0.17],
        [0.02, 0.05, 0.15, 0.30, 0.42, 0.06],
        [0.50, 0.22, 0.10, 0.10, 0.07, 0.01],
        [0.005, 0.03, 0.20, 0.27, 0.44, 0.055],
        [0.14, 0.46, 0.08, 0.28, 0.03, 0.01],
        [0.22, 0.18, 0.52, 0.04, 0.03, 0.01],
        [0.02, 0.06, 0.80, 0.05, 0.06, 0.01],
    ]
)
# Chance of a negative and of a positive mood, by hidden state.
_NEGATIVE = np.array([0.006, 0.03, 0.92, 0.02, 0.97, 0.96, 0.1])
_POSITIVE = np.array([0.45, 0.25, 0.03, 0.2, 0.01, 0.01, 0.15])
# Median hours to the first answer and from there to the solution; poor support is what frustrates.
_ANSWER_HOURS = np.array([3.0, 4.0, 5.0, 4.0, 16.0, 6.0, 4.0])
_SOLVE_HOURS = np.array([16.0, 20.0, 26.0, 20.0, 80.0, 30.0, 20.0])
_ESCALATIONS = np.array([0.02, 0.04, 0.10, 0.03, 0.35, 0.15, 0.05])
_CSAT_CENTRE = np.array([4.4, 3.7, 2.8, 3.8, 1.7, 2.3, 3.5])
_CSAT_ANSWERED = 0.45
_HASTE = np.array([1.4, 1.0, 0.6, 0.35])


def make_tickets(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story, first_id: int
) -> Columns:
    """Return the versions of a group's tickets."""
    customer, day = _openings(rng, timeline, people, story)
    state = story.states[customer, day].astype(np.int64)
    count = len(customer)
    intent, mood = _intents(rng, state), _moods(rng, state)
    intent = np.where((mood == 2) & (intent < 2), 4, intent)
    mood = np.where(intent == 5, 2, mood)
    priority = _priorities(rng, state, mood)
    opened_at = timeline.midnight(day) + rng.integers(21_600, 79_200, count) * SECOND
    haste = _HASTE[priority]
    answered = opened_at + _span(rng, _ANSWER_HOURS[state] * haste)
    escalated = answered + _span(rng, 0.3 * _SOLVE_HOURS[state] * haste)
    solved = escalated + _span(rng, 0.7 * _SOLVE_HOURS[state] * haste)
    rated = solved + _span(rng, np.full(count, 6.0))
    is_rated = rng.random(count) < _CSAT_ANSWERED
    score = np.rint(_CSAT_CENTRE[state] + 0.8 * rng.standard_normal(count)).astype(np.int64)
    body = (intent * len(wording.MOODS) + mood) * wording.BODIES_PER_MOOD
    columns = {
        "ticket_id": first_id + np.arange(count),
        "customer_id": people.number[customer],
        "opened_at": opened_at,
        "first_response_at": answered,
        "resolved_at": solved,
        "escalated_at": np.where(rng.random(count) < _ESCALATIONS[state], escalated, NULL),
        "priority": priority,
        "category": intent,
        "channel": rng.integers(0, len(CHANNELS), count),
        "csat_score": np.where(is_rated, np.clip(score, 1, 5), NULL),
        "csat_at": np.where(is_rated, rated, NULL),
        "subject": intent * wording.SUBJECTS_PER_INTENT
        + rng.integers(0, wording.SUBJECTS_PER_INTENT, count),
        "body": body + rng.integers(0, wording.BODIES_PER_MOOD, count),
    }
    return unfold(
        columns,
        ("opened_at", "first_response_at", "escalated_at", "resolved_at", "csat_at"),
        delay=rng.integers(1, 15, count) * MINUTE,
        tied={"csat_score": "csat_at"},
    )


def _openings(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story
) -> tuple[Ints, Ints]:
    """Return customer and day of each new ticket, at most one a day."""
    states = story.states[:, : timeline.days]
    rates = np.append(_RATES, 0.0).astype(np.float32)
    chance = rates[states]
    begins = np.zeros(states.shape, dtype=bool)
    begins[:, 2:] = (states[:, 1:-1] != states[:, :-2]) & (states[:, 2:] == states[:, 1:-1])
    begins &= states != hz.ABSENT
    chance[begins] += _FIRST_DAY.astype(np.float32)[states[begins]]
    tenure = np.arange(timeline.days)[None, :] - people.start_day[:, None]
    chance[(tenure >= 0) & (tenure < _NEW_DAYS) & (states >= 0)] += np.float32(_NEW_RATE)
    customer, day = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
    # Nobody writes on the day of arrival, whose first hours are not theirs yet.
    keeps = day > people.start_day[customer]
    return customer[keeps], day[keeps]


def _intents(rng: np.random.Generator, state: Ints) -> Ints:
    edges = np.cumsum(_INTENTS, axis=1)[state]
    places = (rng.random(len(state))[:, None] >= edges).sum(axis=1)
    return np.asarray(np.minimum(places, len(wording.INTENTS) - 1), dtype=np.int64)


def _moods(rng: np.random.Generator, state: Ints) -> Ints:
    draws = rng.random(len(state))
    is_negative = draws < _NEGATIVE[state]
    is_positive = draws > 1.0 - _POSITIVE[state]
    return np.where(is_negative, 0, np.where(is_positive, 2, 1)).astype(np.int64)


def _priorities(rng: np.random.Generator, state: Ints, mood: Ints) -> Ints:
    heat = rng.random(len(state)) + 0.35 * (mood == 0) + 0.15 * (state == hz.FRUSTRATED)
    return np.asarray(np.searchsorted(np.array([0.3, 0.85, 1.2]), heat), dtype=np.int64)


def _span(rng: np.random.Generator, hours: Floats) -> Ints:
    """Return a wait of about so many hours, at least one minute, in microseconds."""
    drawn = hours * np.exp(0.6 * rng.standard_normal(len(hours)))
    return np.asarray(1 + drawn * 60, dtype=np.int64) * MINUTE
