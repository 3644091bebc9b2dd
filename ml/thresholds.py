"""From probabilities to calls: thresholds as policies, and what each reaches.

Conventions, with those of `ml.metrics`:

- An alert is `probability >= threshold`; a threshold of None alerts nobody. Equal probabilities
  are called together or not at all, so a threshold is always the probability of the last group
  that is called.
- Calling a row earns `chance * save_rate * value - contact_cost`: the expected profit of a
  retention campaign of Neslin et al. (2006), "Defection Detection", Journal of Marketing Research
  43(2), without a fixed cost, and with the incentive counted in the contact's cost.
- A threshold is chosen on validation rows, which flatters it a little there; the test rows judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.errors import DataError
from ml.metrics import Cumulated, Estimate, Outcomes, Ranking
from ml.resampling import over_samples
from ml.settings import Policy

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

POLICIES: tuple[Policy, ...] = get_args(Policy)

# A share of rows is a product of floats: 0.29 * 100 falls short of 29.
_SLACK = 1e-9


@dataclass(frozen=True)
class TierCosts:
    """What calling a customer of a value tier costs, and what it may save.

    Attributes
    ----------
    contact_cost
        Money for one call, offer included.
    save_rate
        Share of the churners called who stay because of it, 0 to 1.
    value_months
        Months of revenue that a saved customer brings.
    """

    contact_cost: float
    save_rate: float
    value_months: float


@dataclass(frozen=True)
class CallEconomics:
    """What calling each row costs and may save: arrays of shape `(n,)`, money in one currency."""

    contact_cost: Floats
    save_rate: Floats
    value: Floats

    def profit(self, chance: Floats) -> Floats:
        """Return what calling each row earns if it churns with this chance; see the module."""
        return chance * self.save_rate * self.value - self.contact_cost


@dataclass(frozen=True)
class Reached:
    """What alerts reach on some rows, each with its interval by bootstrap over customers.

    Attributes
    ----------
    share_called
        Share of the rows that are called.
    precision
        Share of the called rows that churn; without a value where nobody is called.
    recall
        Share of the churned rows that are called; without a value where nobody churns.
    expected_profit
        Money a row (called or not), with the probability as the chance of churn.
    realised_profit
        The same with what happened in place of the probability.
    """

    share_called: Estimate
    precision: Estimate
    recall: Estimate
    expected_profit: Estimate
    realised_profit: Estimate


@dataclass(frozen=True)
class Threshold:
    """The threshold that a policy chooses, and what it reaches on the rows it was chosen on.

    Attributes
    ----------
    threshold
        The least probability that is an alert; without a value where the policy calls nobody. Its
        interval is that of the choice made anew on each sample of customers.
    reached
        By this very threshold, on all samples.
    why
        How it was chosen, in words.
    """

    policy: Policy
    threshold: Estimate
    reached: Reached
    why: str

    def alerts(self, probability: Floats) -> NDArray[np.bool_]:
        """Return which rows are alerts."""
        return alerts(probability, self.threshold.value)


def alerts(probability: Floats, threshold: float | None) -> NDArray[np.bool_]:
    """Return which rows are alerts: the probability is at least the threshold.

    Examples
    --------
    >>> alerts(np.array([0.1, 0.3, 0.2]), 0.2).tolist()
    [False, True, True]
    >>> alerts(np.array([0.1, 0.3, 0.2]), None).tolist()
    [False, False, False]
    """
    if threshold is None:
        return np.zeros(probability.shape, dtype=bool)
    return np.asarray(probability >= threshold)


def call_economics(
    value_tier: Sequence[object] | NDArray[np.object_],
    monthly_revenue: Floats,
    costs: Mapping[str, TierCosts],
) -> CallEconomics:
    """Return what calling each row costs and may save.

    Parameters
    ----------
    value_tier, monthly_revenue
        Of each row, of shape `(n,)`.
    costs
        By value tier.

    Raises
    ------
    DataError
        If a row's tier has no costs.
    """
    missing = sorted({str(tier) for tier in value_tier if tier not in costs})
    if missing:
        raise DataError(
            f"Expected the costs of every value tier in the seed retention_costs, found none for "
            f"{', '.join(missing)} (it knows {', '.join(sorted(costs)) or 'none'}). "
            "Add the tier to the seed and build it: `dbt seed`."
        )
    rows = [costs[str(tier)] for tier in value_tier]
    return CallEconomics(
        contact_cost=np.array([each.contact_cost for each in rows], dtype=np.float64),
        save_rate=np.array([each.save_rate for each in rows], dtype=np.float64),
        value=np.array([each.value_months for each in rows], dtype=np.float64) * monthly_revenue,
    )


def choose(
    policies: Sequence[Policy],
    outcomes: Outcomes,
    probability: Floats,
    economics: CallEconomics,
    *,
    share: float,
    least_recall: float,
    customer_weights: Floats,
) -> tuple[Threshold, ...]:
    """Choose the threshold of each policy on validation rows.

    - capacity: as many rows as fit into the top `share`. Where not even the most likely group of
      equal probabilities fits, nobody is called: no threshold could tell its rows apart.
    - precision: the highest precision of those that reach `least_recall`; of equal ones the one
      that calls more.
    - f1: the highest harmonic mean of precision and recall; of equal ones the one that calls less.
    - profit: the highest sum of the rows' expected profit by their probability; of equal ones the
      one that calls less; nobody where no threshold earns anything. It looks at no outcome, so
      what it reaches is not flattered by the choice, and is as good as the calibration.

    Parameters
    ----------
    probability
        Calibrated, of shape `(n,)`.
    share
        Of the rows that can be called, 0 to 1.
    least_recall
        For the policy precision, 0 to 1.
    customer_weights
        How often each customer counts in each bootstrap sample, `(n_samples, n_customers)`.

    Raises
    ------
    ValueError
        If there is no row or a probability is nan.
    """
    ranking = metrics.rank(probability)
    gain = economics.profit(probability)

    def pick(weight: Floats) -> dict[Policy, Integers]:
        down = metrics.cumulate(ranking, outcomes.target, weight)
        gained = _summed(ranking, gain, weight)
        return {each: _pick(each, down, gained, share, least_recall) for each in policies}

    group_probability = np.append(probability[ranking.order][ranking.ends], np.nan)
    group = pick(np.ones(probability.size))
    picked = over_samples(pick, outcomes.customer, customer_weights)

    def chosen(policy: Policy) -> Threshold:
        samples = [group_probability[some[policy]] for some in picked]
        threshold = metrics.estimate(group_probability[group[policy]], np.concatenate(samples))
        return Threshold(
            policy,
            threshold,
            reach(outcomes, probability, economics, threshold.value, customer_weights),
            _why(policy, threshold.value, bool(outcomes.target.any()), share, least_recall),
        )

    return tuple(chosen(policy) for policy in policies)


def reach(
    outcomes: Outcomes,
    probability: Floats,
    economics: CallEconomics,
    threshold: float | None,
    customer_weights: Floats,
) -> Reached:
    """Return what a threshold reaches on any rows, such as those of the test.

    Parameters
    ----------
    customer_weights
        How often each customer counts in each bootstrap sample, `(n_samples, n_customers)`.
    """
    called = alerts(probability, threshold).astype(np.float64)
    sums = np.stack(
        [
            np.ones(called.size),
            called,
            outcomes.target,
            called * outcomes.target,
            called * economics.profit(probability),
            called * economics.profit(outcomes.target),
        ],
        axis=-1,
    )
    by_customer = np.zeros((customer_weights.shape[-1], sums.shape[-1]))
    np.add.at(by_customer, outcomes.customer, sums)
    values, samples = _figures(sums.sum(axis=0)), _figures(customer_weights @ by_customer)
    return Reached(**metrics.estimates(values, samples))


def to_dict(threshold: Threshold) -> dict[str, Any]:
    """Return a threshold as JSON and a table can hold it: `_lower` and `_upper` are bounds."""
    figures = {"threshold": threshold.threshold, **vars(threshold.reached)}
    flat: dict[str, Any] = {"policy": threshold.policy}
    for name, estimate in figures.items():
        flat[name] = estimate.value
        flat[f"{name}_lower"] = estimate.lower
        flat[f"{name}_upper"] = estimate.upper
    return {**flat, "why": threshold.why}


def from_dict(values: Mapping[str, Any]) -> Threshold:
    """Return the threshold that `to_dict` wrote."""

    def estimate(name: str) -> Estimate:
        return Estimate(values[name], values[f"{name}_lower"], values[f"{name}_upper"])

    return Threshold(
        policy=values["policy"],
        threshold=estimate("threshold"),
        reached=Reached(**{name: estimate(name) for name in Reached.__dataclass_fields__}),
        why=values["why"],
    )


def _summed(ranking: Ranking, amount: Floats, weight: Floats) -> Floats:
    """Add an amount up along the ranking, to the end of each group, `(..., n_groups)`."""
    ordered = (weight * amount)[..., ranking.order]
    summed: Floats = np.cumsum(ordered, axis=-1)[..., ranking.ends]
    return summed


def _pick(
    policy: Policy, down: Cumulated, gained: Floats, share: float, least_recall: float
) -> Integers:
    """Return the last group to call, -1 for nobody; of the last axis, `(...,)`."""
    total, churned = down.rows[..., -1:], down.churned[..., -1:]
    if policy == "capacity":
        is_open, worth = down.rows <= share * total * (1 + _SLACK), down.rows
    elif policy == "precision":
        is_open = (churned > 0) & (down.churned >= least_recall * churned * (1 - _SLACK))
        worth = _divided(down.churned, down.rows)
    elif policy == "f1":
        is_open = np.broadcast_to(churned > 0, down.rows.shape)
        worth = _divided(2 * down.churned, down.rows + churned)
    else:
        is_open, worth = gained > 0, gained
    # A group without weight in this sample changes nothing, and so is no place to end.
    has_weight = np.diff(down.rows, axis=-1, prepend=0) > 0
    worth = np.where(is_open & has_weight, worth, -np.inf)
    if policy == "precision":
        best = worth.shape[-1] - 1 - np.argmax(worth[..., ::-1], axis=-1)
    else:
        best = np.argmax(worth, axis=-1)
    return np.where(np.isfinite(worth.max(axis=-1)), best, -1)


def _figures(sums: Floats) -> dict[str, Floats]:
    rows, called, churned, caught, expected, realised = np.moveaxis(sums, -1, 0)
    return {
        "share_called": _divided(called, rows, np.nan),
        "precision": _divided(caught, called, np.nan),
        "recall": _divided(caught, churned, np.nan),
        "expected_profit": _divided(expected, rows, np.nan),
        "realised_profit": _divided(realised, rows, np.nan),
    }


def _divided(above: Floats, below: Floats, otherwise: float = 0.0) -> Floats:
    result = np.full(np.shape(above), otherwise)
    np.divide(above, below, out=result, where=np.asarray(below) > 0)
    return result[()]


def _why(
    policy: Policy, threshold: float | None, has_churn: bool, share: float, least_recall: float
) -> str:
    if policy == "capacity":
        if threshold is None:
            return f"the most likely rows, equal to each other, are more than {share:.1%}"
        return f"as many rows as fit into {share:.1%}"
    if policy == "profit":
        return "no threshold earns anything" if threshold is None else "the most expected profit"
    if not has_churn:
        return "nobody churned on the validation rows"
    if policy == "precision":
        return f"the most precision at a recall of at least {least_recall:.1%}"
    return "the best F1"
