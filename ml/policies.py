"""What is decided with a model's probabilities: every policy's threshold, and which one alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import conformal, metrics, thresholds
from ml.conformal import Bound
from ml.metrics import Outcomes
from ml.settings import DecideSettings, Policy
from ml.thresholds import POLICIES, Threshold, TierCosts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Policies:
    """The thresholds of a model version, which travel with it.

    Attributes
    ----------
    thresholds
        One for each policy.
    chosen
        The policy whose alerts are the model's.
    bound
        The threshold with a promise on the missed churn value.
    """

    thresholds: tuple[Threshold, ...]
    chosen: Policy
    bound: Bound

    @property
    def threshold(self) -> Threshold:
        """The threshold of the chosen policy."""
        return next(each for each in self.thresholds if each.policy == self.chosen)

    def alerts(self, probability: Floats) -> NDArray[np.bool_]:
        """Return which rows are alerts by the chosen policy."""
        return self.threshold.alerts(probability)

    def to_dict(self) -> dict[str, Any]:
        """Return the policies as JSON can hold them."""
        return {
            "thresholds": [thresholds.to_dict(each) for each in self.thresholds],
            "chosen": self.chosen,
            "bound": asdict(self.bound),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Policies":
        """Return the policies that `to_dict` wrote."""
        return cls(
            thresholds=tuple(thresholds.from_dict(each) for each in values["thresholds"]),
            chosen=values["chosen"],
            bound=Bound(**values["bound"]),
        )


def decide(
    outcomes: Outcomes,
    probability: Floats,
    value_tier: Sequence[object] | NDArray[np.object_],
    costs: Mapping[str, TierCosts],
    *,
    options: DecideSettings,
    share: float,
    samples: int,
    rng: np.random.Generator,
) -> Policies:
    """Choose a threshold for every policy on validation rows, and bound the missed value.

    Parameters
    ----------
    outcomes
        What happened to the validation rows. For the bound they must not have trained or
        calibrated the model.
    probability
        Calibrated as it will be when thresholds are applied, of shape `(n,)`.
    value_tier
        Of the rows, of shape `(n,)`.
    costs
        By value tier.
    share
        Of the customers that can be called, 0 to 1.
    samples
        How many bootstrap samples of customers.

    Raises
    ------
    DataError
        If a row's tier has no costs.
    ValueError
        If there is no row or a probability is nan.
    """
    if probability.size == 0:
        raise ValueError("no row to decide on")
    economics = thresholds.call_economics(value_tier, outcomes.monthly_revenue, costs)
    weights = metrics.draw_customers(outcomes, samples, rng)
    return Policies(
        thresholds=thresholds.choose(
            POLICIES,
            outcomes,
            probability,
            economics,
            share=share,
            least_recall=options.least_recall,
            customer_weights=weights,
        ),
        chosen=options.policy,
        bound=conformal.bound_missed_value(
            outcomes, probability, alpha=options.alpha, delta=options.delta
        ),
    )
