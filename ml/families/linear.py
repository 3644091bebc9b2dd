"""Logistic regression."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml.families.encode import scaled
from ml.families.protocol import CLASSIFY, ENCODE, mean_one, shares

Floats = NDArray[np.float64]


class LinearOdds(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression that can divide its score among the encoded columns.

    Contributions are measured from the training rows' mean, weighted as the fit was: the base is
    the score of the average row, and a column at its average contributes nothing.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "LinearOdds":
        """Fit the coefficients; weights are brought to a mean of 1."""
        weight = mean_one(sample_weight)
        # Newton's method needs few passes where rows far outnumber columns, as they do here.
        regression = LogisticRegression(solver="newton-cholesky", **self.params)
        regression.fit(encoded, target, sample_weight=weight)
        self.coefficients_ = np.asarray(regression.coef_[0], dtype=np.float64)
        self.means_ = np.average(encoded, axis=0, weights=weight)
        deviations = np.square(encoded - self.means_)
        self.spreads_ = np.sqrt(np.average(deviations, axis=0, weights=weight))
        self.base_ = float(regression.intercept_[0] + self.means_ @ self.coefficients_)
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds."""
        return np.asarray(self.base_ + (encoded - self.means_) @ self.coefficients_)

    def contributions(self, encoded: Floats) -> Floats:
        """Return the exact linear terms, base last."""
        terms = (encoded - self.means_) * self.coefficients_
        return np.column_stack([terms, np.full(len(encoded), self.base_)])

    def importance(self) -> Floats:
        """Return how far a usual deviation of each column moves the score, summing to 1."""
        return shares(np.abs(self.coefficients_) * self.spreads_)


def build_logistic(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the logistic family: signed logarithm, median for null, null flags, one-hot."""
    return Pipeline([(ENCODE, scaled(types)), (CLASSIFY, LinearOdds(dict(params)))])
