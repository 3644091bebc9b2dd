"""What happens to each customer, day by day: the hidden states, run forwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.simulate import hazard as hz
from ml.simulate.columns import Ints
from ml.simulate.population import Population
from ml.simulate.timeline import NO_DAY, Timeline

# How much of their usual work customers do in each state.
ENGAGEMENT = np.array([1.0, 0.12, 0.02, 0.55, 0.3, 0.35, 0.97], dtype=np.float32)
# Activity follows the state over days, not at once.
ENGAGEMENT_PACE = 0.4
# What is left of the activity of those who gave notice, and for how long.
_TAIL_ENGAGEMENT = 0.08
_TAIL_DAYS = 10


@dataclass(frozen=True)
class Spells:
    """Stretches of being a customer; an entry a spell, in order of customer and start.

    `left_day` is the day of leaving, `NO_DAY` while the customer stays; `anchor` is the day
    from which billing periods are counted, which a return within grace keeps.
    """

    customer: Ints
    start: Ints
    anchor: Ints
    left_day: Ints
    left_state: Ints
    is_after_break: npt.NDArray[np.bool_]
    is_before_break: npt.NDArray[np.bool_]

    @property
    def is_involuntary(self) -> npt.NDArray[np.bool_]:
        """Where payment failed for good."""
        return np.asarray((self.left_day < NO_DAY) & (self.left_state == hz.PAYMENT_TROUBLE))

    @property
    def is_churn(self) -> npt.NDArray[np.bool_]:
        """Where the customer left and did not come back within grace."""
        return np.asarray((self.left_day < NO_DAY) & ~self.is_before_break)


@dataclass(frozen=True)
class Story:
    """Everything that happened to a group of customers.

    Attributes
    ----------
    states : numpy.ndarray of int8, shape (n_customers, n_days + 1)
        The hidden state at the start of each day (on a day of arrival, that of its end), `ABSENT`
        without a subscription; the last column is the midnight at which the data ends.
    engagement : numpy.ndarray of float32, shape (n_customers, n_days)
        Activity against a content customer's.
    spells : Spells
        When they came and left.
    rises : dict
        Price rises: customer, day, share (position in `PRICE_RISES`).
    touches : dict
        Planned contacts: customer, day, action, state, is_holdout, is_effective.
    """

    states: npt.NDArray[np.int8]
    engagement: npt.NDArray[np.float32]
    spells: Spells
    rises: dict[str, Ints]
    touches: dict[str, Ints]


class _Log:
    """Collects events of a kind day by day."""

    def __init__(self, *names: str) -> None:
        self._parts: dict[str, list[Ints]] = {name: [] for name in names}

    def add(self, **values: npt.NDArray[np.generic]) -> None:
        for name, part in self._parts.items():
            part.append(np.asarray(values[name], dtype=np.int64))

    def columns(self) -> dict[str, Ints]:
        empty = np.empty(0, dtype=np.int64)
        return {name: np.concatenate([empty, *parts]) for name, parts in self._parts.items()}


def tell_story(rng: np.random.Generator, timeline: Timeline, people: Population) -> Story:
    """Run the chain over all days for a group of customers."""
    count, days = len(people), timeline.days
    states = np.full((days + 1, count), hz.ABSENT, dtype=np.int8)
    engagement = np.zeros((days, count), dtype=np.float32)
    state = np.full(count, hz.ABSENT, dtype=np.int64)
    level = np.zeros(count, dtype=np.float32)
    anchor = people.start_day.copy()
    comes = people.start_day.copy()
    is_back = np.zeros(count, dtype=bool)
    tail_until = np.full(count, -1, dtype=np.int64)
    starts = _Log("customer", "start", "anchor", "is_after_break")
    leaves = _Log("customer", "day", "state", "is_before_break")
    rises = _Log("customer", "day", "share")
    touches = _Log("customer", "day", "action", "state", "is_holdout", "is_effective")
    first_states = np.searchsorted(np.cumsum(hz.START_SHARES), people.start_draw, side="right")
    first_states = np.minimum(first_states, len(hz.STATES) - 1)

    for day in range(days):
        acting = np.nonzero(state >= 0)[0]
        states[day] = state
        arriving = np.nonzero(comes == day)[0]
        if len(arriving):
            is_first = people.start_day[arriving] == day
            on_break = is_back[arriving]
            anchor[arriving] = np.where(on_break, anchor[arriving], day)
            states[day, arriving] = np.where(is_first, first_states[arriving], hz.HEALTHY)
            level[arriving] = ENGAGEMENT[states[day, arriving]]
            starts.add(
                customer=arriving,
                start=np.full(len(arriving), day),
                anchor=anchor[arriving],
                is_after_break=on_break,
            )
        now = states[day]
        target = np.where(now >= 0, ENGAGEMENT[now], np.float32(0.0))
        target[(now < 0) & (tail_until >= day)] = _TAIL_ENGAGEMENT
        level += np.float32(ENGAGEMENT_PACE) * (target - level)
        level[(now < 0) & (tail_until < day)] = 0.0
        engagement[day] = level

        left = _leave(rng, timeline, people, day, acting, state, anchor)
        if len(left):
            draws = rng.random(len(left))
            on_break = draws < hz.BREAK_SHARE
            is_late = ~on_break & (draws < hz.BREAK_SHARE + hz.LATE_RETURN_SHARE)
            breaks = hz.BREAKS[rng.integers(0, len(hz.BREAKS), len(left))]
            later = hz.LATE_RETURN_DAYS + rng.exponential(120.0, len(left)).astype(np.int64)
            leaves.add(
                customer=left,
                day=np.full(len(left), day),
                state=state[left],
                is_before_break=on_break,
            )
            comes[left] = np.where(
                on_break, day + breaks, np.where(is_late, day + later, days + NO_DAY)
            )
            is_back[left] = on_break
            tail_until[left] = day + _TAIL_DAYS
            state[left] = hz.ABSENT
            acting = acting[state[acting] >= 0]
        _move(rng, people, day, acting, state)
        _touch(rng, people, day, acting, state, touches)
        _raise_prices(rng, timeline, people, day, acting, state, anchor, rises)
        _fail_payments(rng, timeline, people, day, acting, state, anchor)
        state[arriving] = states[day, arriving]
    states[days] = state
    return Story(
        states=np.ascontiguousarray(states.T),
        engagement=np.ascontiguousarray(engagement.T),
        spells=_spells(starts.columns(), leaves.columns()),
        rises=rises.columns(),
        touches=touches.columns(),
    )


def _days(day: int, rows: Ints) -> Ints:
    return np.full(len(rows), day, dtype=np.int64)


def _leave(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    day: int,
    acting: Ints,
    state: Ints,
    anchor: Ints,
) -> Ints:
    """Return the customers who leave today."""
    today, tenure = _days(day, acting), day - people.signup_day[acting]
    period, begun = people.period[acting], anchor[acting]
    rate = hz.LEAVE_RATES[state[acting]]
    chance = rate * hz.leave_factors(timeline, today, tenure, period, begun)
    since = hz.days_since_due(timeline, today, period, begun, people.net_days[acting])
    is_over = (state[acting] == hz.PAYMENT_TROUBLE) & (since == hz.DUNNING_DAYS)
    return np.asarray(acting[(rng.random(len(acting)) < chance) | is_over])


def _move(
    rng: np.random.Generator, people: Population, day: int, acting: Ints, state: Ints
) -> None:
    """Move customers between states, by the chain's own pace."""
    now = state[acting]
    factor = hz.move_factors(day - people.signup_day[acting], people.leaning[acting])
    factor = np.where(now == hz.HEALTHY, factor, 1.0)
    draws = rng.random(len(acting))
    moving = np.nonzero(draws < hz.MOVES.sum(axis=1)[now] * factor)[0]
    edges = np.cumsum(hz.MOVES[now[moving]], axis=1) * factor[moving, None]
    state[acting[moving]] = (draws[moving, None] >= edges).sum(axis=1)


def _touch(
    rng: np.random.Generator,
    people: Population,
    day: int,
    acting: Ints,
    state: Ints,
    log: _Log,
) -> None:
    """Plan today's contacts, hold some out by lot, and let the others work."""
    tenure = day - people.signup_day[acting]
    due = hz.is_touch_day(_days(day, acting), tenure, people.touch_offset[acting])
    rows = acting[due]
    if not len(rows):
        return
    edges = np.cumsum(hz.TOUCH_SHARES, axis=0).T[state[rows]]
    action = (rng.random(len(rows))[:, None] >= edges).sum(axis=1)
    rows, action = rows[action < len(hz.ACTIONS)], action[action < len(hz.ACTIONS)]
    now = state[rows]
    is_holdout = rng.random(len(rows)) < hz.HOLDOUT_SHARE
    chance = np.minimum(hz.TOUCH_EFFECTS[action, now] * people.responses[rows, action], 0.95)
    is_effective = ~is_holdout & (rng.random(len(rows)) < chance)
    log.add(
        customer=rows,
        day=_days(day, rows),
        action=action,
        state=now,
        is_holdout=is_holdout,
        is_effective=is_effective,
    )
    moved = np.where(is_effective, hz.TOUCH_TARGETS[action, now], now)
    state[rows] = moved


def _raise_prices(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    day: int,
    acting: Ints,
    state: Ints,
    anchor: Ints,
    log: _Log,
) -> None:
    """Raise prices at some of today's renewals, and shock some of those customers."""
    tenure = day - people.signup_day[acting]
    period = people.period[acting]
    open_to = hz.may_raise_price(timeline, _days(day, acting), tenure, period, anchor[acting])
    rows = acting[open_to]
    rows = rows[rng.random(len(rows)) < hz.PRICE_RISE_SHARES[people.period[rows]]]
    if not len(rows):
        return
    share = rng.integers(0, len(hz.PRICE_RISES), len(rows))
    scale = hz.PRICE_RISES[share] / hz.PRICE_RISES.mean()
    is_shocked = rng.random(len(rows)) < hz.SHOCK_SHARES[state[rows]] * scale
    log.add(customer=rows, day=_days(day, rows), share=share)
    state[rows[is_shocked]] = hz.PRICE_SHOCKED


def _fail_payments(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    day: int,
    acting: Ints,
    state: Ints,
    anchor: Ints,
) -> None:
    """Let some of the payments that are due today fail."""
    since = hz.days_since_due(
        timeline, _days(day, acting), people.period[acting], anchor[acting], people.net_days[acting]
    )
    rows = acting[since == 0]
    failed = rng.random(len(rows)) < hz.FAILURE_RATES[state[rows]] * people.default_risk[rows]
    state[rows[failed]] = hz.PAYMENT_TROUBLE


def _spells(starts: dict[str, Ints], leaves: dict[str, Ints]) -> Spells:
    """Return each start with the leaving that ended it."""
    order = np.lexsort((starts["start"], starts["customer"]))
    customer, start = starts["customer"][order], starts["start"][order]
    left_day = np.full(len(order), NO_DAY, dtype=np.int64)
    left_state = np.full(len(order), hz.ABSENT, dtype=np.int64)
    is_before = np.zeros(len(order), dtype=bool)
    # A leaving belongs to the last start of the customer before it.
    span = NO_DAY * 2
    places = (
        np.searchsorted(
            customer * span + start, leaves["customer"] * span + leaves["day"], side="left"
        )
        - 1
    )
    left_day[places] = leaves["day"]
    left_state[places] = leaves["state"]
    is_before[places] = leaves["is_before_break"].astype(bool)
    return Spells(
        customer=customer,
        start=start,
        anchor=starts["anchor"][order],
        left_day=left_day,
        left_state=left_state,
        is_after_break=starts["is_after_break"][order].astype(bool),
        is_before_break=is_before,
    )
