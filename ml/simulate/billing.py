"""Subscriptions and invoices: what customers pay for, and whether they pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.simulate import hazard as hz
from ml.simulate.columns import (
    BOOLEAN,
    DAY,
    HOUR,
    INTEGER,
    MINUTE,
    MONEY,
    NULL,
    RATIO,
    SECOND,
    TIMESTAMP,
    Bools,
    Columns,
    Floats,
    Identifier,
    Ints,
    Kind,
    Words,
    stack,
)
from ml.simulate.population import Population
from ml.simulate.story import Story
from ml.simulate.timeline import BILLING_PERIODS, NO_DAY, Timeline
from ml.simulate.versions import unfold

PLANS = (
    "starter",
    "team",
    "business",
    "business_plus",
    "enterprise",
    "enterprise_plus",
    "extension",
)
EXTENSION = 6
END_REASONS = (
    "not_needed",
    "low_usage",
    "poor_support",
    "too_expensive",
    "switched_vendor",
    "payment_failed",
    "extension_dropped",
)
PAYMENT_FAILED, EXTENSION_DROPPED = 5, 6
SUBSCRIPTION_KINDS: dict[str, Kind] = {
    "subscription_id": Identifier("s"),
    "customer_id": Identifier("c", 8),
    "plan": Words(PLANS),
    "mrr": MONEY,
    "seats": INTEGER,
    "discount_ratio": RATIO,
    "billing_period_months": INTEGER,
    "auto_renew": BOOLEAN,
    "started_at": TIMESTAMP,
    "renews_at": TIMESTAMP,
    "cancelled_at": TIMESTAMP,
    "ended_at": TIMESTAMP,
    "end_reason": Words(END_REASONS),
    "known_at": TIMESTAMP,
}
INVOICE_KINDS: dict[str, Kind] = {
    "invoice_id": Identifier("i"),
    "customer_id": Identifier("c", 8),
    "subscription_id": Identifier("s"),
    "issued_at": TIMESTAMP,
    "due_at": TIMESTAMP,
    "paid_at": TIMESTAMP,
    "failed_at": TIMESTAMP,
    "amount": MONEY,
    "refunded_amount": MONEY,
    "refunded_at": TIMESTAMP,
    "known_at": TIMESTAMP,
}

_EXTENSION_SHARE = 0.12
_EXTENSION_PRICE = 0.15
_DROP_SHARE = 0.2
# The most that upgrades and price rises lead to, by tier: few customers change their tier.
_MOST_REVENUE = np.array([105_000, 850_000, 5_000_000])
# Chances a day by hidden state, and what they do to the price.
_UPGRADES = np.array([0.0007, 0.0001, 0.0, 0.0, 0.0001, 0.0, 0.0])
_DOWNGRADES = np.array([0.0001, 0.005, 0.004, 0.0008, 0.001, 0.004, 0.0])
_SWITCH_OFF = np.array([0.00005, 0.0005, 0.10, 0.0001, 0.10, 0.10, 0.0])
# Those who turn to leaving mostly switch it off at once.
_SWITCH_OFF_AT_ONCE = np.array([0.0, 0.0, 0.9, 0.0, 0.9, 0.9, 0.0])
_SWITCH_ON = np.array([0.25, 0.10, 0.0, 0.25, 0.0, 0.0, 0.25])
_OFFER_DISCOUNT = 100_000
_MOST_DISCOUNT = 500_000
# Why they leave (columns as END_REASONS), by the state in which they do.
_REASONS = np.array(
    [
        [0.50, 0.10, 0.05, 0.10, 0.25],
        [0.30, 0.40, 0.05, 0.10, 0.15],
        [0.20, 0.45, 0.05, 0.10, 0.20],
        [0.30, 0.50, 0.05, 0.10, 0.05],
        [0.05, 0.05, 0.60, 0.05, 0.25],
        [0.05, 0.05, 0.05, 0.70, 0.15],
        [0.20, 0.20, 0.20, 0.20, 0.20],
    ]
)
_RUNS_OUT_SHARE = 0.7
# Days that invoices without direct debit are paid after they are due, by hidden state.
_DELAY_CENTRE = np.array([-2.0, 1.0, 6.0, 3.0, 4.0, 5.0, 0.0, 3.0])
_STUMBLE_SHARE = 0.008
_REFUND_SHARES = np.array([0.008, 0.01, 0.02, 0.01, 0.06, 0.05, 0.01, 0.01])


@dataclass(frozen=True)
class _Contracts:
    """Subscriptions; an entry each. `spell` is the position of the customer's spell."""

    number: Ints
    spell: Ints
    customer: Ints
    period: Ints
    anchor: Ints
    start: Ints
    over: Ints
    known_at: Ints
    is_extension: Bools
    mrr: Ints


def make_billing(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    accepted_at: Ints,
    first_id: int,
) -> tuple[Columns, Columns]:
    """Return the versions of a group's subscriptions and of its invoices.

    Parameters
    ----------
    accepted_at : numpy.ndarray
        When each contact of the story was accepted, or NULL: an accepted discount lowers the price.
    first_id : int
        The number before the first subscription and the first invoice.
    """
    contracts = _contracts(rng, timeline, people, story, first_id)
    versions, order = _versions(rng, timeline, people, story, contracts, accepted_at)
    invoices = _invoices(rng, timeline, people, story, contracts, versions, order, first_id)
    return versions, invoices


def _contracts(
    rng: np.random.Generator, timeline: Timeline, people: Population, story: Story, first_id: int
) -> _Contracts:
    """Return a main subscription a spell, and an extension for some customers."""
    spells = story.spells
    count = len(spells.customer)
    owner = spells.customer
    is_first = spells.start == people.start_day[owner]
    started_at = timeline.midnight(spells.start) + people.clock[owner]
    # A return within grace takes up the old price; a later one starts a new deal.
    deal = np.where(is_first | spells.is_after_break, 1.0, rng.uniform(0.85, 1.05, count))
    wait = rng.integers(20, 200, count)
    drop = np.where(rng.random(count) < _DROP_SHARE, rng.integers(30, 250, count), NO_DAY)
    added = spells.start + wait
    extends = is_first & (rng.random(count) < _EXTENSION_SHARE)
    extends &= added < np.minimum(spells.left_day, timeline.days)
    rows = np.nonzero(extends)[0]
    main = {
        "spell": np.arange(count),
        "customer": owner,
        "period": people.period[owner],
        "anchor": spells.anchor,
        "start": spells.start,
        "over": spells.left_day,
        "known_at": np.where(is_first, people.signed_up_at[owner], started_at) + 2 * MINUTE,
        "is_extension": np.zeros(count, dtype=np.int64),
        "mrr": (people.mrr[owner] * deal).astype(np.int64),
    }
    extension = {
        "spell": rows,
        "customer": owner[rows],
        "period": np.zeros(len(rows), dtype=np.int64),
        "anchor": added[rows],
        "start": added[rows],
        "over": np.minimum(spells.left_day, added + drop)[rows],
        "known_at": timeline.midnight(added[rows]) + people.clock[owner[rows]] + 2 * MINUTE,
        "is_extension": np.ones(len(rows), dtype=np.int64),
        "mrr": (people.mrr[owner[rows]] * _EXTENSION_PRICE).astype(np.int64),
    }
    both = stack([main, extension])
    is_extension = both.pop("is_extension").astype(bool)
    number = first_id + np.arange(len(is_extension))
    return _Contracts(number=number, is_extension=is_extension, **both)


def _start_times(timeline: Timeline, people: Population, contracts: _Contracts) -> Ints:
    return timeline.midnight(contracts.start) + people.clock[contracts.customer]


def _boundaries(timeline: Timeline, contracts: _Contracts) -> tuple[Ints, Ints]:
    """Return contract and day of every period boundary after the start, while it runs."""
    rows = np.arange(len(contracts.number))
    day = contracts.start.copy()
    last = np.minimum(contracts.over, timeline.days)
    owners, days = [], []
    while len(rows):
        period, anchor = contracts.period[rows], contracts.anchor[rows]
        day = timeline.next_renewal[period, anchor, day + 1].astype(np.int64)
        keeps = day < last[rows]
        rows, day = rows[keeps], day[keeps]
        owners.append(rows)
        days.append(day)
    return np.concatenate(owners), np.concatenate(days)


def _contract_of_day(contracts: _Contracts, customer: Ints, day: Ints) -> Ints:
    """Return the main subscription that covers a customer's day, the last that began before it."""
    main = np.nonzero(~contracts.is_extension)[0]
    keys = contracts.customer[main] * NO_DAY + contracts.start[main]
    return np.asarray(main[np.searchsorted(keys, customer * NO_DAY + day, side="right") - 1])


def _event(contract: Ints, moment: Ints, **effects: Ints | Floats) -> dict[str, Floats]:
    """Return events: when, to which contract, and what they change."""
    count = len(contract)
    event: dict[str, Floats] = {
        "contract": contract.astype(np.float64),
        "growth": np.zeros(count),
        "seats": np.zeros(count),
        "discount": np.zeros(count),
        "level": np.full(count, np.nan),
        "renewing": np.full(count, np.nan),
        "end": np.zeros(count),
    }
    event["moment"] = moment.astype(np.float64)
    for name, values in effects.items():
        event[name] = np.asarray(values, dtype=np.float64)
    return event


def _events(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    contracts: _Contracts,
    accepted_at: Ints,
) -> dict[str, Floats]:
    """Return all that happens to the contracts, the start first, in order of contract and time."""
    clock = people.clock[contracts.customer]
    count = len(contracts.number)
    owner, day = _boundaries(timeline, contracts)
    begun = _event(
        np.arange(count),
        contracts.known_at,
        level=np.zeros(count),
        renewing=people.is_renewing[contracts.customer],
    )
    parts = [begun, _event(owner, timeline.midnight(day) + clock[owner])]
    raised = _contract_of_day(contracts, story.rises["customer"], story.rises["day"])
    growth = np.log1p(hz.PRICE_RISES[story.rises["share"]])
    moment = timeline.midnight(story.rises["day"]) + clock[raised] + 3 * MINUTE
    parts.append(_event(raised, moment, growth=growth))
    states = story.states[:, : timeline.days]
    for rates, effect in (
        (_UPGRADES, "up"),
        (_DOWNGRADES, "down"),
        (_SWITCH_OFF, "off"),
        (_SWITCH_ON, "on"),
    ):
        chance = np.append(rates, 0.0).astype(np.float32)[states]
        if effect == "off":
            begins = np.zeros(states.shape, dtype=bool)
            # The morning after the first: the day of arrival is too early to switch anything.
            begins[:, 2:] = (states[:, 1:-1] != states[:, :-2]) & (states[:, 2:] == states[:, 1:-1])
            begins &= states != hz.ABSENT
            chance[begins] += _SWITCH_OFF_AT_ONCE.astype(np.float32)[states[begins]]
        customer, day = np.nonzero(rng.random(states.shape, dtype=np.float32) < chance)
        keeps = day > people.start_day[customer]
        customer, day = customer[keeps], day[keeps]
        contract = _contract_of_day(contracts, customer, day)
        keeps = contracts.start[contract] < day
        contract, day = contract[keeps], day[keeps]
        moment = timeline.midnight(day) + rng.integers(25_200, 64_800, len(day)) * SECOND
        if effect in ("up", "down"):
            low, high = (0.1, 0.35) if effect == "up" else (-0.4, -0.12)
            growth = rng.uniform(low, high, len(day))
            level = np.full(len(day), float(effect == "up"))
            parts.append(_event(contract, moment, growth=growth, seats=growth, level=level))
        else:
            renewing = np.full(len(day), float(effect == "on"))
            parts.append(_event(contract, moment, renewing=renewing))
    parts.append(_discounts(timeline, story, contracts, accepted_at))
    parts.append(_ends(rng, timeline, people, story, contracts))
    events = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((events["end"], events["moment"], events["contract"]))
    return _effective({name: values[order] for name, values in events.items()})


def _effective(events: dict[str, Floats]) -> dict[str, Floats]:
    """Return the events without the switches of renewal that found it as they wanted it."""
    is_switch = ~np.isnan(events["renewing"]) & np.isnan(events["level"])
    now = _filled(events["renewing"])
    is_idle = is_switch & (now == np.append(np.nan, now[:-1]))
    return {name: values[~is_idle] for name, values in events.items()}


def _discounts(
    timeline: Timeline, story: Story, contracts: _Contracts, accepted_at: Ints
) -> dict[str, Floats]:
    """Return the price cuts of accepted discount offers, while the contract runs."""
    accepted = (story.touches["action"] == 0) & (accepted_at != NULL)
    moment = accepted_at[accepted] + 30 * MINUTE
    customer, day = story.touches["customer"][accepted], story.touches["day"][accepted]
    contract = _contract_of_day(contracts, customer, day)
    keeps = moment < timeline.midnight(np.minimum(contracts.over[contract], timeline.days))
    contract, moment = contract[keeps], moment[keeps]
    cut = np.full(len(contract), np.log1p(-_OFFER_DISCOUNT / 1e6))
    discount = np.full(len(contract), float(_OFFER_DISCOUNT))
    return _event(contract, moment, growth=cut, discount=discount)


def _ends(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    contracts: _Contracts,
) -> dict[str, Floats]:
    """Return the ends: notice by day; failed payments end the subscription in the night."""
    rows = np.nonzero(contracts.over < timeline.days)[0]
    spell = contracts.spell[rows]
    is_dropped = contracts.over[rows] < story.spells.left_day[spell]
    is_failed = story.spells.is_involuntary[spell] & ~is_dropped
    moment = timeline.midnight(contracts.over[rows])
    moment += np.where(is_failed, 2 * HOUR, rng.integers(28_800, 68_400, len(rows)) * SECOND)
    state = np.maximum(story.spells.left_state[spell], 0)
    edges = np.cumsum(_REASONS, axis=1)[state]
    reason = np.minimum((rng.random(len(rows))[:, None] >= edges).sum(axis=1), 4)
    reason = np.where(is_failed, PAYMENT_FAILED, np.where(is_dropped, EXTENSION_DROPPED, reason))
    return _event(rows, moment, end=1 + reason)


def _filled(values: Floats) -> Floats:
    """Return the values with each gap filled by the value before it."""
    places = np.where(np.isnan(values), 0, np.arange(len(values)))
    return np.asarray(values[np.maximum.accumulate(places)])


def _running(values: Floats, contract: Ints) -> Floats:
    """Return the running sums within each contract."""
    total = np.cumsum(values)
    is_first = np.append(True, contract[1:] != contract[:-1])
    before = np.where(is_first, total - values, np.nan)
    return np.asarray(total - _filled(before))


def _versions(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    contracts: _Contracts,
    accepted_at: Ints,
) -> tuple[Columns, Ints]:
    """Return a version for each event, and the contract of each."""
    events = _events(rng, timeline, people, story, contracts, accepted_at)
    contract = events["contract"].astype(np.int64)
    moment = events["moment"].astype(np.int64)
    # An event after the end (an extension's, a customer's) changes nothing any more.
    closed = _running(events["end"], contract) > events["end"]
    keeps = ~closed
    events = {name: values[keeps] for name, values in events.items()}
    contract, moment = contract[keeps], moment[keeps]
    owner = contracts.customer[contract]
    tier, is_extension = people.tier[owner], contracts.is_extension[contract]
    growth = np.exp(_running(events["growth"], contract))
    most = np.where(is_extension, _MOST_REVENUE[tier] * _EXTENSION_PRICE, _MOST_REVENUE[tier])
    mrr = np.minimum(contracts.mrr[contract] * growth, most)
    level = _filled(events["level"]).astype(np.int64)
    seats = np.rint(people.seats[owner] * np.exp(_running(events["seats"], contract)))
    discount = people.discount[owner] * ~is_extension + _running(events["discount"], contract)
    start_at = _start_times(timeline, people, contracts)[contract]
    is_ended = events["end"] > 0
    is_failed = events["end"] == 1 + PAYMENT_FAILED
    today = np.maximum((moment - timeline.epoch) // DAY, contracts.start[contract])
    following = timeline.next_renewal[
        contracts.period[contract], contracts.anchor[contract], today + 1
    ].astype(np.int64)
    renews_at = timeline.midnight(following) + people.clock[owner]
    runs_out = rng.random(len(contract)) < _RUNS_OUT_SHARE
    ended_at = np.where(is_failed | ~runs_out, moment, renews_at)
    versions = {
        "subscription_id": contracts.number[contract],
        "customer_id": people.number[owner],
        "plan": np.where(is_extension, EXTENSION, 2 * tier + level),
        "mrr": np.rint(mrr).astype(np.int64),
        "seats": np.maximum(seats, 1).astype(np.int64),
        "discount_ratio": np.minimum(discount, _MOST_DISCOUNT).astype(np.int64),
        "billing_period_months": np.array(BILLING_PERIODS)[contracts.period[contract]],
        "auto_renew": _filled(events["renewing"]).astype(np.int64),
        "started_at": start_at,
        "renews_at": np.where(is_ended, NULL, renews_at),
        "cancelled_at": np.where(is_ended & ~is_failed, moment, NULL),
        "ended_at": np.where(is_ended, ended_at, NULL),
        "end_reason": np.where(is_ended, events["end"].astype(np.int64) - 1, NULL),
        "known_at": moment + np.where(moment == contracts.known_at[contract], 0, 1) * MINUTE,
    }
    versions["known_at"] = _spaced(versions["known_at"], contract)
    return versions, contract


def _spaced(known_at: Ints, contract: Ints) -> Ints:
    """Return times that grow by a second at least within each contract, where they were equal."""
    for _ in range(3):
        clash = np.append(False, (contract[1:] == contract[:-1]) & (known_at[1:] <= known_at[:-1]))
        if not clash.any():
            break
        known_at = np.where(clash, np.roll(known_at, 1) + SECOND, known_at)
    return known_at


def _invoices(
    rng: np.random.Generator,
    timeline: Timeline,
    people: Population,
    story: Story,
    contracts: _Contracts,
    versions: Columns,
    order: Ints,
    first_id: int,
) -> Columns:
    """Return the versions of an invoice a period: paid, late, failed, refunded."""
    contract, day = _boundaries(timeline, contracts)
    is_resumed = story.spells.is_after_break[contracts.spell] & ~contracts.is_extension
    fresh = np.nonzero(~is_resumed & (contracts.start < timeline.days))[0]
    contract = np.concatenate([fresh, contract])
    day = np.concatenate([contracts.start[fresh], day])
    owner, count = contracts.customer[contract], len(contract)
    issued_at = timeline.midnight(day) + people.clock[owner] + 10 * MINUTE
    mrr = _price_at(versions, order, contract, issued_at)
    amount = mrr * np.array(BILLING_PERIODS)[contracts.period[contract]]
    net_days = people.net_days[owner]
    due_day = day + net_days
    due_at = issued_at + net_days * DAY
    state = story.states[owner, np.minimum(due_day, timeline.days)].astype(np.int64)
    after = story.states[owner, np.minimum(due_day + 1, timeline.days)]
    is_main = ~contracts.is_extension[contract]
    fails = is_main & (after == hz.PAYMENT_TROUBLE) & (state != hz.PAYMENT_TROUBLE)
    fails &= (due_day < timeline.days) & (state != hz.ABSENT)
    settled = _trouble_ends(timeline, story, owner, due_day + 1)
    stumbles = ~fails & (rng.random(count) < _STUMBLE_SHARE * people.default_risk[owner])
    wait = np.where(
        net_days <= 7,
        rng.uniform(0.0, 0.2, count),
        np.maximum(_DELAY_CENTRE[state] + 3.0 * rng.standard_normal(count), -net_days + 0.5),
    )
    paid_at = due_at + (wait * 24 * 60).astype(np.int64) * MINUTE + 5 * MINUTE
    failed_at = due_at + 2 * MINUTE
    retried = failed_at + rng.integers(20, 60, count) * HOUR
    paid_at = np.where(stumbles, retried, paid_at)
    recovered = timeline.midnight(settled) + rng.integers(1, 20, count) * HOUR
    paid_at = np.where(fails, np.where(settled == NO_DAY, NULL, recovered), paid_at)
    is_refunded = (paid_at != NULL) & (rng.random(count) < _REFUND_SHARES[state])
    refunded_at = paid_at + rng.integers(2 * 24, 20 * 24, count) * HOUR
    share = rng.integers(1, 5, count)
    columns = {
        "invoice_id": first_id + np.arange(count),
        "customer_id": people.number[owner],
        "subscription_id": contracts.number[contract],
        "issued_at": issued_at,
        "due_at": due_at,
        "paid_at": paid_at,
        "failed_at": np.where(fails | stumbles, failed_at, NULL),
        "amount": amount,
        "refunded_amount": np.where(is_refunded, amount * share // 4, NULL),
        "refunded_at": np.where(is_refunded, refunded_at, NULL),
    }
    return unfold(
        columns,
        ("issued_at", "failed_at", "paid_at", "refunded_at"),
        delay=rng.integers(10, 110, count) * SECOND,
        tied={"refunded_amount": "refunded_at"},
    )


def _price_at(versions: Columns, order: Ints, contract: Ints, moment: Ints) -> Ints:
    """Return the monthly price in force when each invoice is written, by the version known."""
    # Seconds keep contract and time in one sortable number.
    span = 1 << 36
    keys = order * span + versions["known_at"] // SECOND
    wanted = contract * span + moment // SECOND
    places = np.searchsorted(keys, wanted, side="right") - 1
    return np.asarray(versions["mrr"][places])


def _trouble_ends(timeline: Timeline, story: Story, owner: Ints, day: Ints) -> Ints:
    """Return the last day of payment trouble that a customer gets out of, NO_DAY where never.

    Out of trouble is who is active afterwards: who recovered, or came back within grace.
    """
    trouble = story.states == hz.PAYMENT_TROUBLE
    away = story.states == hz.ABSENT
    width = story.states.shape[1]
    free = np.where(~trouble & ~away, np.arange(width)[None, :], NO_DAY)
    following = np.minimum.accumulate(free[:, ::-1], axis=1)[:, ::-1]
    back = following[owner, np.minimum(day, width - 1)]
    # Who comes back later than grace starts a new contract and leaves the old debt.
    back = np.where(back - day > hz.DUNNING_DAYS + int(hz.BREAKS.max()) + 2, NO_DAY, back)
    return np.asarray(np.where(back == NO_DAY, NO_DAY, back - 1), dtype=np.int64)
