"""From a score to a probability: a rising function, fitted on scores of customers held out."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]
Method = Literal["isotonic", "sigmoid"]

# scikit-learn's guide advises against isotonic calibration "when the number of calibration
# samples is too low (<= 1000)": it overfits. Churn is rare, so the rarer class is bounded too.
ISOTONIC_ROWS = 1000
ISOTONIC_RARER_CLASS = 100


class Calibrator(Protocol):
    """Anything that turns scores into probabilities without changing their order."""

    method: Method

    def probability(self, score: Floats) -> Floats:
        """Return probabilities in (0, 1), of the score's shape, never falling with the score."""


class Isotonic:
    """The best rising step function, joined by straight lines (pool adjacent violators)."""

    method: Method = "isotonic"

    def __init__(self, score: Floats, target: Floats) -> None:
        margin = _margin(score)
        self._regression = IsotonicRegression(
            y_min=margin, y_max=1 - margin, increasing=True, out_of_bounds="clip"
        ).fit(score, target)

    def probability(self, score: Floats) -> Floats:
        """Return probabilities in (0, 1), never falling with the score."""
        return np.asarray(self._regression.predict(score), dtype=np.float64)


class Sigmoid:
    """Platt's scaling: the logistic function of slope * score + intercept, slope never negative.

    Targets are smoothed as in Platt (1999), so that separable rows give no infinite slope. A score
    that ranks backwards gets the slope 0, hence the base rate, and is never turned round.
    """

    method: Method = "sigmoid"

    def __init__(self, score: Floats, target: Floats) -> None:
        churned = float(target.sum())
        retained = float(target.size - churned)
        smoothed = np.where(target > 0, (churned + 1) / (churned + 2), 1 / (retained + 2))
        self._margin = _margin(score)
        self._middle = float(score.mean())
        self._spread = float(score.std()) or 1.0
        standard = self._standard(score)

        def loss(parameters: Floats) -> tuple[float, Floats]:
            slope, intercept = parameters
            margin = slope * standard + intercept
            error = expit(margin) - smoothed
            value = float(np.mean(np.logaddexp(0, margin) - smoothed * margin))
            return value, np.array([np.mean(error * standard), np.mean(error)])

        start = np.array([0.0, np.log((churned + 1) / (retained + 1))])
        found = minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)]
        )
        self.slope, self.intercept = (float(value) for value in found.x)

    def probability(self, score: Floats) -> Floats:
        """Return probabilities in (0, 1), never falling with the score."""
        probability = expit(self.slope * self._standard(score) + self.intercept)
        return np.asarray(np.clip(probability, self._margin, 1 - self._margin))

    def _standard(self, score: Floats) -> Floats:
        return (score - self._middle) / self._spread


def _margin(score: Floats) -> float:
    """Return how far probabilities keep from 0 and 1: half a row of those that calibrate.

    No churn among n rows shows a low rate, not that churn is impossible.
    """
    return 0.5 / score.size


def choose_method(target: Floats, method: str) -> Method:
    """Return the method to use; 'auto' takes isotonic when the rows suffice for it.

    Raises
    ------
    ValueError
        If the method is not one of 'isotonic', 'sigmoid', 'auto'.
    """
    if method == "auto":
        churned = int(target.sum())
        is_enough = target.size >= ISOTONIC_ROWS and (
            min(churned, target.size - churned) >= ISOTONIC_RARER_CLASS
        )
        return "isotonic" if is_enough else "sigmoid"
    if method == "isotonic":
        return "isotonic"
    if method == "sigmoid":
        return "sigmoid"
    raise ValueError(f"expected 'isotonic', 'sigmoid' or 'auto', got '{method}'")


def fit_calibrator(score: Floats, target: Floats, method: str) -> Isotonic | Sigmoid:
    """Fit a calibrator on the calibration rows.

    Parameters
    ----------
    score, target
        Raw scores and 0 or 1, of shape `(n,)`, with both classes.
    method
        'isotonic', 'sigmoid' or 'auto'.
    """
    chosen = choose_method(target, method)
    return Isotonic(score, target) if chosen == "isotonic" else Sigmoid(score, target)
