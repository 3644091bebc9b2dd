"""A threshold whose missed share of churn value is bounded, not only estimated.

What is promised. Of the monthly revenue of customers who churn, let the missed share be the part
whose rows are no alert. With probability at least 1 - delta over the validation customers, the
threshold found here misses at most alpha of it among *all* customers of their kind.

- The unit is the customer, whose rows come together: a customer counts with the mean revenue of its
  churned rows, missed in the proportion of revenue of those rows that lie below the threshold.
- Revenue is heavy-tailed, and nothing can be promised of what is unbounded: a customer counts up to
  a cap. The cap is a quantile of the revenue of the customers who did *not* churn; they add nothing
  to the sum, so it owes nothing to those who do.
- Customers are assumed alike and independent, validation and future ones. Where the future drifts,
  the promise ends; resampling customers of one time cannot show that.

How. The missed share stays within alpha where the mean of `missed - alpha * value` over churned
customers is not above 0. Against each threshold stands a bet: the wealth
`prod(1 - bet * (missed - alpha * value) / cap)` has a mean of at most 1 where the threshold misses
more than alpha, so it reaches 1 / delta with probability at most delta (Markov). This is the
betting bound of Waudby-Smith and Ramdas (2023), "Estimating means of bounded random variables by
betting", JRSS B 86(1), with one bet for all customers, which makes it free of their order. The
wealth never rises with the threshold, so the highest one that it supports controls the risk (Bates
et al. 2021, "Distribution-free, risk-controlling prediction sets", Journal of the ACM 68(6);
Angelopoulos et al. 2021, "Learn then test").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Outcomes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Of the revenue of customers who stayed. For the same promise (alpha .2, delta .1) on lognormal
# revenue of sigma 1 and 80 churned customers, caps at .8, .9, .95 and .99 called 45, 51, 51 and
# 58 % of the customers; with the maximum as cap nothing could be promised in 93 % of the draws.
CAP_QUANTILE = 0.95


@dataclass(frozen=True)
class Bound:
    """A threshold with a promise, or the reason why there is none.

    Attributes
    ----------
    threshold
        The highest one for which the promise holds; None where none does.
    alpha, delta
        The missed share of churn value stays within alpha with probability 1 - delta.
    value_cap
        Monthly revenue up to which a customer counts; None where it cannot be set.
    churned_customers
        Customers with a churned row among the validation rows.
    missed_share
        Missed at the threshold on the validation rows themselves; None without a threshold.
    share_called
        Share of the validation rows that are alerts; None without a threshold.
    why
        What is promised, or why nothing is, in words.
    """

    threshold: float | None
    alpha: float
    delta: float
    value_cap: float | None
    churned_customers: int
    missed_share: float | None
    share_called: float | None
    why: str


@dataclass(frozen=True)
class BoundCheck:
    """How a bound held when customers were split at random many times.

    Attributes
    ----------
    splits
        Splits of the customers into halves.
    bounded
        Splits whose first half led to a threshold.
    exceeded
        Those whose second half missed more than alpha.
    missed_share
        Mean missed share on the second halves; None where no split led to a threshold.
    """

    splits: int
    bounded: int
    exceeded: int
    missed_share: float | None

    @property
    def exceeded_share(self) -> float | None:
        """The share of splits that broke the bound, to be held against delta.

        The second half is itself a sample: its figure scatters about what is promised, and may
        exceed alpha where the truth does not.
        """
        return self.exceeded / self.splits if self.splits else None


@dataclass(frozen=True)
class _Churned:
    """The churned rows in rising order of probability.

    `amount` is what a row adds to its customer's capped value, `customer` numbers churned
    customers from 0.
    """

    probability: Floats
    amount: Floats
    customer: Integers

    def value(self) -> Floats:
        return np.bincount(self.customer, self.amount).astype(np.float64)

    def missed(self, threshold: float) -> Floats:
        below = np.searchsorted(self.probability, threshold, side="left")
        customers = int(self.customer.max()) + 1
        return np.bincount(self.customer[:below], self.amount[:below], minlength=customers).astype(
            np.float64
        )


def bound_missed_value(
    outcomes: Outcomes, probability: Floats, *, alpha: float, delta: float
) -> Bound:
    """Return the highest threshold whose missed share of churn value is bounded.

    Parameters
    ----------
    outcomes
        What happened to the validation rows, which trained and calibrated nothing.
    probability
        Of the rows, of shape `(n,)`.
    alpha
        The share of churn value that may be missed, 0 to 1.
    delta
        The chance that the promise fails, 0 to 1.

    Raises
    ------
    ValueError
        If a probability is nan.
    """
    if np.isnan(probability).any():
        raise ValueError("a probability is nan")
    has_churned = np.zeros(int(outcomes.customer.max(initial=-1)) + 1, dtype=bool)
    has_churned[outcomes.customer[outcomes.target > 0]] = True
    count = int(has_churned.sum())
    stayed = _stayers(outcomes, has_churned)
    cap = float(np.quantile(stayed, CAP_QUANTILE)) if stayed.size else 0.0

    def none(why: str) -> Bound:
        known_cap = cap if cap > 0 else None
        return Bound(None, alpha, delta, known_cap, count, None, None, why)

    if count == 0:
        return none("nothing can be promised: nobody churned on the validation rows")
    if cap <= 0:
        return none(
            "nothing can be promised: no customer with revenue stayed, by whom to cap what a "
            "churned customer counts"
        )
    churned = _churned(outcomes, probability, cap)
    value = churned.value() / cap
    bet = _bet(np.minimum(stayed, cap) / cap, count, alpha, delta)
    needed = np.log(1 / delta)

    def holds(threshold: float) -> bool:
        missed = churned.missed(threshold) / cap
        return bool(np.log1p(-bet * (missed - alpha * value)).sum() >= needed)

    candidates = np.unique(churned.probability)
    if not holds(candidates[0]):
        return none(
            f"nothing can be promised: {count} churned customers with {value.sum():.1f} times the "
            f"cap of {cap:,.2f} between them are too few, even if none were missed"
        )
    # The wealth never rises with the threshold: halve until neighbours are left.
    held, failed = 0, candidates.size
    while failed - held > 1:
        middle = (held + failed) // 2
        held, failed = (middle, failed) if holds(candidates[middle]) else (held, middle)
    threshold = float(candidates[held])
    return Bound(
        threshold,
        alpha,
        delta,
        cap,
        count,
        float(churned.missed(threshold).sum() / churned.value().sum()),
        float(np.mean(probability >= threshold)),
        f"with probability {1 - delta:.0%}, at most {alpha:.0%} of the monthly revenue of churning "
        f"customers is missed, each counted up to {cap:,.2f}, as long as customers stay alike",
    )


def missed_share(
    outcomes: Outcomes, probability: Floats, threshold: float | None, value_cap: float
) -> float | None:
    """Return the missed share of capped churn value on any rows; None where there is none.

    The very quantity that `bound_missed_value` bounds; without a threshold all is missed.
    """
    if not outcomes.target.any():
        return None
    churned = _churned(outcomes, probability, value_cap)
    value = float(churned.amount.sum())
    if value <= 0:
        return None
    return float(churned.missed(np.inf if threshold is None else threshold).sum()) / value


def resampling_check(
    outcomes: Outcomes,
    probability: Floats,
    *,
    alpha: float,
    delta: float,
    splits: int,
    rng: np.random.Generator,
) -> BoundCheck:
    """Split the customers in halves many times; bound on the one, count misses on the other.

    Parameters
    ----------
    splits
        How many.
    """
    customers = int(outcomes.customer.max(initial=-1)) + 1
    shares: list[float] = []
    for _ in range(splits):
        is_first = np.zeros(customers, dtype=bool)
        is_first[rng.permutation(customers)[: customers // 2]] = True
        rows = is_first[outcomes.customer]
        bound = bound_missed_value(outcomes.at(rows), probability[rows], alpha=alpha, delta=delta)
        if bound.threshold is None or bound.value_cap is None:
            continue
        share = missed_share(
            outcomes.at(~rows), probability[~rows], bound.threshold, bound.value_cap
        )
        # A half without churn misses nothing.
        shares.append(share or 0.0)
    return BoundCheck(
        splits=splits,
        bounded=len(shares),
        exceeded=sum(share > alpha for share in shares),
        missed_share=float(np.mean(shares)) if shares else None,
    )


def _stayers(outcomes: Outcomes, has_churned: NDArray[np.bool_]) -> Floats:
    """Return the mean revenue of each customer without a churned row."""
    rows = np.bincount(outcomes.customer, minlength=has_churned.size)
    revenue = np.bincount(outcomes.customer, outcomes.monthly_revenue, minlength=has_churned.size)
    stayed = ~has_churned & (rows > 0)
    mean: Floats = revenue[stayed] / rows[stayed]
    return mean


def _churned(outcomes: Outcomes, probability: Floats, cap: float) -> _Churned:
    rows = np.flatnonzero(outcomes.target > 0)
    rows = rows[np.argsort(probability[rows], kind="stable")]
    _, customer = np.unique(outcomes.customer[rows], return_inverse=True)
    revenue = outcomes.monthly_revenue[rows]
    total = np.bincount(customer, revenue)
    capped = np.minimum(total / np.bincount(customer), cap)
    amount = np.divide(
        revenue * capped[customer],
        total[customer],
        out=np.zeros(rows.size),
        where=total[customer] > 0,
    )
    return _Churned(probability[rows], amount, customer.astype(np.int64))


def _bet(value: Floats, churned_customers: int, alpha: float, delta: float) -> float:
    """Return the bet: the best one near the bound if those who leave are worth what stayers are.

    Any bet below 1 / (1 - alpha) keeps the promise as long as it owes nothing to the churned
    customers' values; this one takes from them their number alone. For a mean of variance v,
    Waudby-Smith and Ramdas bet sqrt(2 log(1 / delta) / (n v)); misses at the rate alpha have
    v = alpha (1 - alpha) E[value^2].
    """
    variance = alpha * (1 - alpha) * float(np.mean(np.square(value)))
    best = np.sqrt(2 * np.log(1 / delta) / (churned_customers * variance))
    return float(min(best, 0.999 / (1 - alpha)))
