"""Who the customers are: what is fixed when they sign up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.simulate.columns import HOUR, MINUTE, SECOND, Floats, Ints
from ml.simulate.hazard import ACTIONS, TOUCH_PERIOD_DAYS
from ml.simulate.timeline import Timeline

SEGMENTS = ("self_serve", "commercial", "key_account")
INDUSTRIES = ("software", "retail", "healthcare", "education", "manufacturing", "finance", "media")
COUNTRIES = ("US", "DE", "GB", "FR", "NL", "CA", "AU", "ES", "SE", "IN")
COMPANY_SIZES = ("1-10", "11-50", "51-200", "201-1000", "1001-5000", "5000+")
CHANNELS = ("organic", "paid_ads", "referral", "partner", "outbound", "marketplace")

TIER_SHARES = np.array([0.60, 0.30, 0.10])
TIER_REVENUE = np.array([[200, 800], [1_500, 5_000], [10_000, 30_000]])
PERIOD_SHARES = np.array([[0.75, 0.10, 0.15], [0.50, 0.15, 0.35], [0.25, 0.15, 0.60]])
NET_DAYS = np.array([0, 7, 14, 30])
FEATURE_COUNT = 12

_COUNTRY_SHARES = np.array([0.34, 0.14, 0.13, 0.09, 0.06, 0.07, 0.05, 0.04, 0.04, 0.04])
_CHANNEL_SHARES = np.array([0.30, 0.22, 0.15, 0.11, 0.12, 0.10])
_NET_SHARES = np.array([[0.4, 0.4, 0.15, 0.05], [0.15, 0.35, 0.35, 0.15], [0.0, 0.2, 0.4, 0.4]])
_TIER_LEANING = np.array([1.15, 0.85, 0.6])
_CHANNEL_LEANING = np.array([0.95, 1.35, 0.7, 0.85, 1.05, 1.0])
# Customers of the marketplace pay by prepaid card, which fails four times as often.
_CHANNEL_DEFAULT_RISK = np.array([0.75, 0.75, 0.75, 0.75, 0.75, 3.0])
# By tier and by industry: who an action suits.
_TIER_RESPONSE = np.array([[1.4, 0.8, 1.0, 1.2], [0.8, 1.1, 1.0, 1.0], [0.4, 1.5, 1.0, 0.7]])
_INDUSTRY_RESPONSE = np.ones((len(INDUSTRIES), len(ACTIONS)))
_INDUSTRY_RESPONSE[:, 2] = [0.5, 1.2, 1.5, 1.6, 1.0, 0.8, 0.8]
_INDUSTRY_RESPONSE[:, 3] = [1.4, 0.8, 0.7, 0.8, 0.8, 1.0, 1.4]


@dataclass(frozen=True)
class Population:
    """One group of customers; every array has an entry a customer, days count from the start.

    Attributes
    ----------
    number : numpy.ndarray
        The running number that the customer's id is made of.
    signed_up_at : numpy.ndarray
        Microseconds since 1970.
    start_day : numpy.ndarray
        The day the first subscription starts: that of sign-up, or some days later after a trial.
    clock : numpy.ndarray
        The time of day, in microseconds, at which the subscription starts and renews.
    leaning : numpy.ndarray of float64
        How readily the customer drifts off, against an average one.
    responses : numpy.ndarray of float64, shape (n, 4)
        How strongly each action works on the customer, against an average one.
    default_risk : numpy.ndarray of float64
        How often the customer's payments fail, against an average one.
    diligence : numpy.ndarray of float64
        The share of days on which a content customer is active.
    """

    number: Ints
    signup_day: Ints
    signed_up_at: Ints
    start_day: Ints
    clock: Ints
    tier: Ints
    mrr: Ints
    discount: Ints
    seats: Ints
    period: Ints
    net_days: Ints
    is_renewing: Ints
    segment: Ints
    industry: Ints
    country: Ints
    company_size: Ints
    channel: Ints
    leaning: Floats
    responses: Floats
    diligence: Floats
    depth: Floats
    touch_offset: Ints
    default_risk: Floats
    start_draw: Floats

    def __len__(self) -> int:
        """Return how many customers there are."""
        return len(self.number)


def _pick(rng: np.random.Generator, shares: Floats, count: int) -> Ints:
    """Return positions drawn with the shares; `shares` is one row, or one row a draw."""
    edges = np.cumsum(shares, axis=-1)
    draws = rng.random(count)
    if edges.ndim == 1:
        return np.minimum(np.searchsorted(edges, draws, side="right"), len(shares) - 1)
    places = (draws[:, None] >= edges).sum(axis=1)
    return np.asarray(np.minimum(places, edges.shape[1] - 1), dtype=np.int64)


def _signup_days(rng: np.random.Generator, timeline: Timeline, count: int) -> Ints:
    """Return sign-up days: all along, busier on workdays and at the launch."""
    days = np.arange(timeline.days)
    appeal = 0.4 + timeline.workload[: timeline.days]
    launch = np.where(days < 90, 2.0, 1.0)
    weights = appeal * launch
    return np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(count)).astype(np.int64)


def draw_population(
    rng: np.random.Generator, timeline: Timeline, first: int, count: int
) -> Population:
    """Return `count` customers whose numbers follow on `first`."""
    signup_day = _signup_days(rng, timeline, count)
    tier = _pick(rng, TIER_SHARES, count)
    low, high = TIER_REVENUE[tier].T
    mrr = np.round((low + (high - low) * rng.random(count) ** 1.3) * 100).astype(np.int64)
    industry = rng.integers(0, len(INDUSTRIES), count)
    channel = _pick(rng, _CHANNEL_SHARES, count)
    trial = np.where(rng.random(count) < 0.1, rng.integers(3, 11, count), 0)
    clock = rng.integers(7 * 3600, 20 * 3600, count) * SECOND
    signed_up_at = timeline.midnight(signup_day) + clock - rng.integers(2, 50, count) * MINUTE
    is_discounted = rng.random(count) < 0.3
    responses = _TIER_RESPONSE[tier] * _INDUSTRY_RESPONSE[industry]
    return Population(
        number=first + np.arange(count, dtype=np.int64),
        signup_day=signup_day,
        signed_up_at=signed_up_at,
        start_day=signup_day + trial,
        clock=np.where(trial > 0, clock // HOUR * HOUR, clock),
        tier=tier,
        mrr=mrr,
        discount=np.where(is_discounted, rng.integers(1, 6, count) * 50_000, 0),
        seats=np.maximum(1, mrr // 100 // rng.integers(35, 80, count)),
        period=_pick(rng, PERIOD_SHARES[tier], count),
        net_days=NET_DAYS[_pick(rng, _NET_SHARES[tier], count)],
        is_renewing=(rng.random(count) < 0.98).astype(np.int64),
        segment=np.clip(tier + _pick(rng, np.array([0.05, 0.9, 0.05]), count) - 1, 0, 2),
        industry=industry,
        country=_pick(rng, _COUNTRY_SHARES, count),
        company_size=np.clip(tier * 2 + _pick(rng, np.array([0.4, 0.45, 0.15]), count), 0, 5),
        channel=channel,
        leaning=_TIER_LEANING[tier] * _CHANNEL_LEANING[channel],
        responses=responses * np.exp(0.3 * rng.standard_normal((count, len(ACTIONS)))),
        diligence=np.clip(0.72 + 0.06 * rng.standard_normal(count) + 0.03 * tier, 0.5, 0.9),
        depth=np.exp(0.15 * rng.standard_normal(count)),
        touch_offset=rng.integers(0, TOUCH_PERIOD_DAYS, count),
        default_risk=_CHANNEL_DEFAULT_RISK[channel],
        start_draw=rng.random(count),
    )
