"""What is decided with a model's probabilities: every policy's threshold, and which one alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import conformal, metrics, thresholds
from ml.conformal import Bound
from ml.metrics import Outcomes
from ml.registry import RegisteredVersion
from ml.settings import DecideSettings
from ml.thresholds import POLICIES, Policy, Reached, Threshold, TierCosts
from ml.warehouse import Warehouse

Floats = NDArray[np.float64]

BOUND = "bound"

_FIGURES = ("threshold", *Reached.__dataclass_fields__)
THRESHOLDS_SCHEMA = pa.schema(
    [
        ("model_name", pa.string()),
        ("model_version", pa.int32()),
        ("run_id", pa.string()),
        ("policy", pa.string()),
        ("is_chosen", pa.bool_()),
        *(
            (f"{figure}{end}", pa.float64())
            for figure in _FIGURES
            for end in ("", "_lower", "_upper")
        ),
        ("why", pa.string()),
        ("decided_at", pa.timestamp("us")),
    ]
)


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
    customers = int(outcomes.customer.max(initial=-1)) + 1
    weights = metrics.resample_customers(customers, samples, rng)
    return Policies(
        thresholds=tuple(
            thresholds.choose(
                policy,
                outcomes,
                probability,
                economics,
                share=share,
                least_recall=options.least_recall,
                customer_weights=weights,
            )
            for policy in POLICIES
        ),
        chosen=options.policy,
        bound=conformal.bound_missed_value(
            outcomes, probability, alpha=options.alpha, delta=options.delta
        ),
    )


def write_policies(
    warehouse: Warehouse, version: RegisteredVersion, policies: Policies, decided_at: datetime
) -> None:
    """Write a version's rows of `ml.thresholds`; the same twice, as once."""
    keys: dict[str, object] = {
        "model_name": version.model_name,
        "model_version": version.model_version,
    }
    rows = [
        {**thresholds.to_dict(each), "is_chosen": each.policy == policies.chosen}
        for each in policies.thresholds
    ]
    bound = policies.bound
    rows.append(
        {
            "policy": BOUND,
            "is_chosen": False,
            "threshold": bound.threshold,
            "share_called": bound.share_called,
            "why": bound.why,
        }
    )
    run = {**keys, "run_id": version.run_id, "decided_at": decided_at}
    warehouse.replace_slice(
        "ml.thresholds",
        pa.Table.from_pylist([{**run, **row} for row in rows], schema=THRESHOLDS_SCHEMA),
        where=keys,
    )
