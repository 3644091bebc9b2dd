"""The true churn probabilities: the chain run backwards, exact to rounding.

The chance to be still there at the end of the horizon, from each state, is known at the end (one)
and follows day by day backwards from the same chances that drive the story. What enters is the
hidden state at the start of the as-of date and the calendar of the customer; nothing realised
later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.simulate import hazard as hz
from ml.simulate.columns import Floats, Ints
from ml.simulate.population import Population
from ml.simulate.story import Spells, Story
from ml.simulate.timeline import NO_DAY, Timeline

NEW_DAYS = 30
ESTABLISHED_DAYS = 180
SHORT_HORIZON = 30
LONG_HORIZON = 90
GRACE_DAYS = 30


@dataclass(frozen=True)
class Truth:
    """What is true of each active customer at each month start, and what then happened.

    Every array has an entry a customer and date, but `effects` and `effects_30d`, whose shape is
    (n_rows, 4): by how much each action, taken at the start of the date, would change the churn
    probability (negative: the customer stays). `is_churn` counts churn in the cohort's horizon;
    `is_mature` says that horizon and grace had passed before the data ends.
    """

    customer: Ints
    day: Ints
    state: Ints
    horizon: Ints
    probability_30d: Floats
    probability_90d: Floats
    effects: Floats
    is_churn: Ints
    is_mature: Ints

    @property
    def probability(self) -> Floats:
        """The churn probability within the cohort's own horizon."""
        is_long = self.horizon == LONG_HORIZON
        return np.asarray(np.where(is_long, self.probability_90d, self.probability_30d))


def tell_truth(timeline: Timeline, people: Population, story: Story) -> Truth:
    """Return the truth of a group of customers at every month start."""
    spells = story.spells
    spell, day = _active_rows(timeline, spells)
    customer = spells.customer[spell]
    state = story.states[customer, day].astype(np.int64)
    tenure = day - people.signup_day[customer]
    horizon = np.where(tenure > ESTABLISHED_DAYS, LONG_HORIZON, SHORT_HORIZON)
    anchor = spells.anchor[spell]
    stay_30 = staying(timeline, people, customer, day, anchor, SHORT_HORIZON)
    stay_90 = staying(timeline, people, customer, day, anchor, LONG_HORIZON)
    rows = np.arange(len(customer))
    stay = np.where((horizon == LONG_HORIZON)[:, None], stay_90, stay_30)
    gain = np.minimum(hz.TOUCH_EFFECTS[:, state].T * people.responses[customer], 0.95)
    effects = gain * (
        stay[rows, state][:, None] - stay[rows[:, None], hz.TOUCH_TARGETS[:, state].T]
    )
    churn_day = _next_churn(spells, spell)
    return Truth(
        customer=customer,
        day=day,
        state=state,
        horizon=horizon,
        probability_30d=1.0 - stay_30[rows, state],
        probability_90d=1.0 - stay_90[rows, state],
        effects=effects,
        is_churn=(churn_day < day + horizon).astype(np.int64),
        is_mature=(day + horizon + GRACE_DAYS <= timeline.days).astype(np.int64),
    )


def staying(
    timeline: Timeline,
    people: Population,
    customer: Ints,
    day: Ints,
    anchor: Ints,
    horizon: int,
) -> Floats:
    """Return the chance not to churn within the horizon, from each state at the start of the day.

    Parameters
    ----------
    customer, day, anchor : numpy.ndarray, shape (n_rows,)
        Position of the customer, as-of date, and day from which the billing periods count.
    horizon : int
        Days in which churn counts.

    Returns
    -------
    numpy.ndarray, shape (n_rows, n_states)
    """
    count = len(customer)
    period, net_days = people.period[customer], people.net_days[customer]
    signup, leaning = people.signup_day[customer], people.leaning[customer]
    offset, responses = people.touch_offset[customer], people.responses[customer]
    risk = people.default_risk[customer]
    stay = np.ones((count, len(hz.STATES)))
    # A customer back from a break on a day is content at the next midnight.
    back = np.ones((horizon + int(hz.BREAKS.max()) + 2, count))
    for ahead in range(horizon - 1, -1, -1):
        today = day + ahead
        tenure = today - signup
        since = hz.days_since_due(timeline, today, period, anchor, net_days)
        stay = _before_failures(stay, np.nonzero(since == 0)[0], risk)
        rising = np.nonzero(hz.may_raise_price(timeline, today, tenure, period, anchor))[0]
        stay = _before_rises(stay, rising, period)
        touched = np.nonzero(hz.is_touch_day(today, tenure, offset))[0]
        stay = _before_touches(stay, touched, responses)
        drift = stay @ hz.DRIFT.T
        drift[:, hz.HEALTHY] *= hz.move_factors(tenure, leaning)
        stay = stay + drift
        factor = hz.leave_factors(timeline, today, tenure, period, anchor)
        leave = np.minimum(factor[:, None] * hz.LEAVE_RATES, 1.0)
        leave[:, hz.PAYMENT_TROUBLE] = since == hz.DUNNING_DAYS
        returned = back[ahead + 1 + hz.BREAKS].mean(axis=0)
        stay = stay + leave * ((hz.BREAK_SHARE * returned)[:, None] - stay)
        back[ahead] = stay[:, hz.HEALTHY]
    return stay


def _before_failures(stay: Floats, rows: Ints, risk: Floats) -> Floats:
    """Return the chances before payments fail or not, on the rows where one is due."""
    part = stay[rows]
    stay[rows] = part + risk[rows, None] * hz.FAILURE_RATES * (part[:, [hz.PAYMENT_TROUBLE]] - part)
    return stay


def _before_rises(stay: Floats, rows: Ints, period: Ints) -> Floats:
    """Return the chances before prices rise or not, on the rows that may be raised."""
    part = stay[rows]
    share = hz.PRICE_RISE_SHARES[period[rows]][:, None] * hz.SHOCK_SHARES
    stay[rows] = part + share * (part[:, [hz.PRICE_SHOCKED]] - part)
    return stay


def _before_touches(stay: Floats, rows: Ints, responses: Floats) -> Floats:
    """Return the chances before contacts are planned, held out or carried out."""
    part = stay[rows]
    change = np.zeros_like(part)
    for action in range(len(hz.ACTIONS)):
        response = responses[rows, action][:, None]
        works = np.minimum(hz.TOUCH_EFFECTS[action] * response, 0.95)
        sent = hz.TOUCH_SHARES[action] * (1.0 - hz.HOLDOUT_SHARE)
        change += sent * works * (part[:, hz.TOUCH_TARGETS[action]] - part)
    stay[rows] = part + change
    return stay


def _active_rows(timeline: Timeline, spells: Spells) -> tuple[Ints, Ints]:
    """Return spell and month start wherever a customer is active at that midnight."""
    starts = timeline.month_starts[None, :]
    is_active = (spells.start[:, None] < starts) & (starts <= spells.left_day[:, None])
    spell, month = np.nonzero(is_active)
    return spell.astype(np.int64), timeline.month_starts[month]


def _next_churn(spells: Spells, spell: Ints) -> Ints:
    """Return the day of the customer's next churn from within a spell on."""
    day = np.where(spells.is_churn, spells.left_day, NO_DAY)
    # A spell that ended in a break goes on in the next one of the same customer.
    for place in range(len(day) - 2, -1, -1):
        if spells.is_before_break[place] and spells.customer[place] == spells.customer[place + 1]:
            day[place] = day[place + 1]
    return np.asarray(day[spell])
