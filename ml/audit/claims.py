"""What a way of measuring claims of a model, and what that model then achieves: arrays in and out.

A claim is the figure on the rows that a way of measuring sets aside. For the achievement the same
recipe is trained on everything known on the day of the split, as it would be before it is put to
work, and judged on the following months with features as they are known there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml import families, metrics
from ml.errors import DataError
from ml.families import LIGHTGBM
from ml.families.protocol import fit_pipeline
from ml.metrics import AVERAGE_PRECISION, PRECISION, ROC_AUC, Estimate, Forecast, Outcomes, Sampled
from ml.weights import Weighting

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

JUDGED_BY = (ROC_AUC, AVERAGE_PRECISION, PRECISION)


@dataclass(frozen=True)
class Recipe:
    """The model that every way of measuring is given: one LightGBM with the project's settings.

    Attributes
    ----------
    types
        Feature to type.
    params
        LightGBM's, from the settings.
    weighting
        How much each row counts.
    seed
        Every fit starts from it, so that ways differ in their rows and features alone.
    """

    types: Mapping[str, str]
    params: Mapping[str, Any]
    weighting: Weighting
    seed: int

    def fitted(self, rows: "Rows") -> Any:
        """Return the fitted pipeline."""
        rng = np.random.default_rng(self.seed)
        pipeline = families.build(LIGHTGBM, self.types, self.params, rng)
        outcomes = rows.outcomes
        weight = self.weighting.weights(rows.weight, outcomes.monthly_revenue, outcomes.target)
        return fit_pipeline(pipeline, rows.frame, rows.outcomes.target, weight)


@dataclass(frozen=True)
class Rows:
    """Labelled rows with features.

    Attributes
    ----------
    frame
        Features, `(n_observations, n_features)`.
    outcomes
        What happened; customers are coded alike in all rows of a receipt.
    weight
        Of the value tier, `(n_observations,)`.
    """

    frame: pd.DataFrame
    outcomes: Outcomes
    weight: Floats

    @property
    def count(self) -> int:
        """How many rows."""
        return self.outcomes.target.size

    @property
    def churned(self) -> int:
        """How many of them churned."""
        return int(self.outcomes.target.sum())

    def at(self, mask: Mask) -> "Rows":
        """Return the rows where the mask is true."""
        return Rows(self.frame.loc[mask], self.outcomes.at(mask), self.weight[mask])

    def require_both_classes(self, what: str) -> None:
        """Raise unless customers of the rows left and others stayed.

        Raises
        ------
        DataError
            Where there is one class only, or no row.
        """
        if self.churned in (0, self.count):
            raise DataError(
                f"Expected both churned and retained customers in the rows {what}, found "
                f"{self.churned} churned of {self.count}. A receipt needs more history before the "
                "split: bring more, or set `train.test_dates` lower."
            )


@dataclass(frozen=True)
class Promise:
    """One metric as it is claimed and as it is achieved, with 95 % intervals by customer.

    Attributes
    ----------
    excess
        Claimed less achieved; the interval is of the difference.
    """

    claimed: Estimate
    achieved: Estimate
    excess: Estimate

    @property
    def is_broken(self) -> bool:
        """Whether the claim is above what is achieved, beyond chance."""
        return self.excess.lower is not None and self.excess.lower > 0


def measured(
    pipeline: Any, rows: Rows, share: float, customer_weights: Floats
) -> dict[str, Sampled]:
    """Return each metric of a fitted pipeline on some rows.

    Parameters
    ----------
    share
        The share of customers that can be called.
    customer_weights
        How often each customer counts in each bootstrap sample, `(samples, customers)`. What is
        measured with the same is paired: a difference has the interval of the difference.
    """
    score = np.asarray(pipeline.decision_function(rows.frame))
    # The metrics looked at rank; the log-odds as a probability are only what `measure` asks for.
    forecast = Forecast(score, 1 / (1 + np.exp(-score)))
    values = metrics.measure(rows.outcomes, forecast, share)
    samples = metrics.measure_samples(rows.outcomes, forecast, share, customer_weights)
    return {metric: Sampled(float(values[metric]), samples[metric]) for metric in JUDGED_BY}


def promises(claimed: Mapping[str, Sampled], achieved: Mapping[str, Sampled]) -> dict[str, Promise]:
    """Return each metric as claimed and as achieved, measured with the same bootstrap."""
    return {
        metric: Promise(
            claim.estimate,
            achieved[metric].estimate,
            claim.less(achieved[metric]),
        )
        for metric, claim in claimed.items()
    }
