"""What makes customers change and leave: a small Markov chain, stepped by the day.

A customer is in one of seven hidden states. Each day an active customer either leaves, with a
probability that depends on the state and on the calendar, or moves between states. Four things
happen on days of their own: a contact (`touches`), a renewal that may raise the price, a payment
that may fail, and the end of dunning. The same numbers drive the story forwards and the true
probabilities backwards, so the truth is exact and looks at nothing that is realised.
"""

from __future__ import annotations

import numpy as np

from ml.simulate.columns import Bools, Floats, Ints
from ml.simulate.timeline import Timeline

STATES = (
    "healthy",
    "drifting",
    "decaying",
    "dormant",
    "frustrated",
    "price_shocked",
    "payment_trouble",
)
HEALTHY, DRIFTING, DECAYING, DORMANT, FRUSTRATED, PRICE_SHOCKED, PAYMENT_TROUBLE = range(7)
ABSENT = -1

# Chance a day to give notice, before the calendar's factors. Healthy customers leave too, silently;
# those who want to leave take two to three months over it.
LEAVE_RATES = np.array([0.00006, 0.001, 0.012, 0.0002, 0.012, 0.012, 0.0])

# Chances a day to move from one state (row) to another (column).
MOVES = np.zeros((7, 7))
MOVES[HEALTHY, DRIFTING] = 0.0012
MOVES[HEALTHY, FRUSTRATED] = 0.00025
MOVES[DRIFTING, HEALTHY] = 0.001
MOVES[DRIFTING, DECAYING] = 0.012
MOVES[DECAYING, HEALTHY] = 0.0005
MOVES[DECAYING, DORMANT] = 0.001
MOVES[DORMANT, HEALTHY] = 0.006
MOVES[FRUSTRATED, HEALTHY] = 0.001
MOVES[FRUSTRATED, DECAYING] = 0.001
MOVES[PRICE_SHOCKED, HEALTHY] = 0.001
MOVES[PRICE_SHOCKED, DRIFTING] = 0.001
MOVES[PAYMENT_TROUBLE, HEALTHY] = 0.006
DRIFT = MOVES - np.diag(MOVES.sum(axis=1))

# The state in which a customer starts, by how the first days went.
START_SHARES = np.array([0.84, 0.07, 0.05, 0.0, 0.04, 0.0, 0.0])

# Payments fail on the due day; after so many days of dunning the subscription is ended.
FAILURE_RATES = np.array([0.0080, 0.0086, 0.0086, 0.0086, 0.0080, 0.0080, 0.0])
DUNNING_DAYS = 27

# Chance that a renewal raises the price, by billing period; from this tenure on.
PRICE_RISE_SHARES = np.array([0.04, 0.12, 0.5])
PRICE_RISE_TENURE = 150
PRICE_RISES = np.array([0.05, 0.10, 0.15, 0.20, 0.25])
# Chance that an average rise shocks; in proportion to the rise.
SHOCK_SHARES = np.array([0.04, 0.04, 0.03, 0.02, 0.05, 0.0, 0.0])

# Those who leave and come back: within grace after one of these breaks (not churn), or much later.
BREAKS = np.array([4, 9, 15, 22])
BREAK_SHARE = 0.06
LATE_RETURN_SHARE = 0.10
LATE_RETURN_DAYS = 40

ACTIONS = ("discount_offer", "success_call", "training", "feature_tips")
TOUCH_PERIOD_DAYS = 30
FIRST_TOUCH_TENURE = 10
HOLDOUT_SHARE = 0.25
# Chance on a contact day that the action (row) is planned for a customer in the state (column).
TOUCH_SHARES = np.array(
    [
        [0.03, 0.05, 0.10, 0.05, 0.08, 0.30, 0.00],
        [0.02, 0.15, 0.30, 0.10, 0.35, 0.10, 0.05],
        [0.05, 0.15, 0.08, 0.05, 0.05, 0.03, 0.02],
        [0.15, 0.15, 0.08, 0.15, 0.05, 0.05, 0.05],
    ]
)
# Chance that an action that is carried out moves an average customer from the state (column) ...
TOUCH_EFFECTS = np.array(
    [
        [0.04, 0.00, 0.12, 0.00, 0.05, 0.50, 0.00],
        [0.00, 0.25, 0.30, 0.05, 0.45, 0.20, 0.00],
        [0.00, 0.35, 0.12, 0.10, 0.00, 0.00, 0.00],
        [0.00, 0.12, 0.00, 0.12, 0.10, 0.00, 0.00],
    ]
)
# ... to this one. A discount reminds the content of the price; tips annoy the frustrated.
TOUCH_TARGETS = np.full((4, 7), HEALTHY)
TOUCH_TARGETS[0, HEALTHY] = PRICE_SHOCKED
TOUCH_TARGETS[3, FRUSTRATED] = DECAYING

# Tenure bands, in days: the newest leave most.
_TENURE_EDGES = np.array([31, 91, 181, 366])
_TENURE_LEAVE = np.array([1.3, 1.1, 1.0, 1.0, 1.0])
_TENURE_MOVE = np.array([1.2, 0.42, 0.26, 0.16, 0.15])

# Terms of three and twelve months are mostly given up in the weeks before they renew.
_RENEWAL_WINDOW_DAYS = np.array([0, 21, 35])
_RENEWAL_NEAR = np.array([1.0, 1.4, 1.6])
_RENEWAL_FAR = np.array([1.0, 0.92, 0.9])


def leave_factors(
    timeline: Timeline, day: Ints, tenure: Ints, period: Ints, anchor: Ints
) -> Floats:
    """Return by how much the calendar multiplies each customer's chance to leave on a day."""
    left = timeline.next_renewal[period, anchor, day] - day
    near = left <= _RENEWAL_WINDOW_DAYS[period]
    renewal = np.where(near, _RENEWAL_NEAR[period], _RENEWAL_FAR[period])
    band = np.searchsorted(_TENURE_EDGES, tenure, side="right")
    return np.asarray(_TENURE_LEAVE[band] * timeline.season[day] * renewal)


def move_factors(tenure: Ints, leaning: Floats) -> Floats:
    """Return by how much tenure and the customer's own leaning multiply the ways out of health."""
    return np.asarray(_TENURE_MOVE[np.searchsorted(_TENURE_EDGES, tenure, side="right")] * leaning)


def days_since_due(
    timeline: Timeline, day: Ints, period: Ints, anchor: Ints, net_days: Ints
) -> Ints:
    """Return the days since the last due day of an invoice, -1 where none was due yet."""
    billed = day - net_days
    since = billed - timeline.last_renewal[period, anchor, np.maximum(billed, 0)]
    return np.asarray(np.where(billed >= anchor, since, -1), dtype=np.int64)


def may_raise_price(
    timeline: Timeline, day: Ints, tenure: Ints, period: Ints, anchor: Ints
) -> Bools:
    """Return where the day is a renewal at which prices may rise."""
    is_renewal = timeline.next_renewal[period, anchor, day] == day
    return np.asarray(is_renewal & (tenure >= PRICE_RISE_TENURE))


def is_touch_day(day: Ints, tenure: Ints, offset: Ints) -> Bools:
    """Return where the day is one on which the customer may be contacted."""
    due = (day + offset) % TOUCH_PERIOD_DAYS == 0
    return np.asarray(due & (tenure >= FIRST_TOUCH_TENURE))
