"""What every family offers, whatever is behind it."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]

ENCODE, CLASSIFY = "encode", "classify"


class Classifier(Protocol):
    """The last step of a family's pipeline."""

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds, of shape `(n,)`."""
        ...

    def contributions(self, encoded: Floats) -> Floats:
        """Return `(n, n_encoded + 1)`: a part for every column, and last the base.

        A row's parts add up to its raw score.
        """
        ...

    def importance(self) -> Floats:
        """Return the weight of each column, of shape `(n_encoded,)`, summing to 1."""
        ...


class Build(Protocol):
    """How a family's pipeline is made, not yet fitted."""

    def __call__(
        self, types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
    ) -> Pipeline:
        """Return a pipeline of the steps `encode` and `classify`.

        Parameters
        ----------
        types
            Feature to type, in the contract's order.
        params
            The family's section of the settings.
        rng
            Seeds whatever draws; it moves on alike for every family.
        """
        ...


def fit_pipeline(
    pipeline: Pipeline, frame: pd.DataFrame, target: Floats, weight: Floats | None
) -> Pipeline:
    """Fit a family on the training rows, with their weights."""
    return pipeline.fit(frame, target, **{f"{CLASSIFY}__sample_weight": weight})


def raw_score(pipeline: Pipeline, frame: pd.DataFrame) -> Floats:
    """Return the raw scores of a fitted family in log-odds, before calibration."""
    encoded = np.asarray(pipeline.named_steps[ENCODE].transform(frame), dtype=np.float64)
    return np.asarray(pipeline.named_steps[CLASSIFY].decision_function(encoded))


def mean_one(weight: Floats | None) -> Floats | None:
    """Return weights brought to a mean of 1, so that their scale changes no regularisation."""
    return None if weight is None else weight / weight.mean()


def shares(weights: Floats) -> Floats:
    """Return weights that sum to 1; all zeros stay."""
    total = weights.sum()
    return np.asarray(weights / total if total > 0 else weights)


def drawn_seed(rng: np.random.Generator) -> int:
    """Return a seed for a library that wants a whole number."""
    return int(rng.integers(2**31 - 1))
