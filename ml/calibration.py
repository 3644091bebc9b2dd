"""From a score to a probability: a rising function, fitted on scores of rows not learnt from."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]
Method = Literal["isotonic", "sigmoid", "none"]

# scikit-learn's guide advises against isotonic calibration "when the number of calibration
# samples is too low (<= 1000)": it overfits. Churn is rare, so the rarer class is bounded too.
ISOTONIC_ROWS = 1000
ISOTONIC_RARER_CLASS = 100
# The log losses of two methods differ little; with fewer churners chance would choose.
CHOICE_RARER_CLASS = 100


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


class Uncalibrated:
    """The score's own odds, for families whose log-odds are true enough as they are."""

    method: Method = "none"

    def __init__(self, score: Floats, target: Floats) -> None:
        self._margin = _margin(score)

    def probability(self, score: Floats) -> Floats:
        """Return probabilities in (0, 1), never falling with the score."""
        return np.asarray(np.clip(expit(score), self._margin, 1 - self._margin))


_METHODS: dict[str, type[Isotonic] | type[Sigmoid] | type[Uncalibrated]] = {
    "none": Uncalibrated,
    "sigmoid": Sigmoid,
    "isotonic": Isotonic,
}


def fit_calibrator(
    score: Floats, target: Floats, method: str, order: NDArray[np.int64] | None = None
) -> Calibrator:
    """Fit a calibrator on rows that the scores were not learnt from.

    `auto` chooses by time: each method is fitted on the earlier rows, and the one with the least
    log loss on the later ones is fitted again on all. Where either part is too small to choose by,
    it is isotonic where the rows suffice for that, and sigmoid where they do not.

    Parameters
    ----------
    score, target
        Raw scores in log-odds and 0 or 1, of shape `(n,)`, with both classes.
    method
        'isotonic', 'sigmoid', 'none' or 'auto'.
    order
        When each row was, as a rising number, of shape `(n,)`; None: all at once.

    Raises
    ------
    ValueError
        If the method is another.
    """
    if method == "auto":
        return _METHODS[_chosen(score, target, order)](score, target)
    if method not in _METHODS:
        raise ValueError(f"expected 'isotonic', 'sigmoid', 'none' or 'auto', got '{method}'")
    return _METHODS[method](score, target)


def _chosen(score: Floats, target: Floats, order: NDArray[np.int64] | None) -> Method:
    by_size: Method = "isotonic" if _suffices(target) else "sigmoid"
    if order is None:
        return by_size
    early = order < np.median(order)
    if order.min() == np.median(order):
        early = order == order.min()
    late = ~early
    if min(_rarer(target[early]), _rarer(target[late])) < CHOICE_RARER_CLASS:
        return by_size
    methods: list[Method] = ["none", "sigmoid"]
    if _suffices(target[early]):
        methods.append("isotonic")
    losses = {
        method: _log_loss(
            target[late], _METHODS[method](score[early], target[early]).probability(score[late])
        )
        for method in methods
    }
    return min(losses, key=lambda method: losses[method])


def _suffices(target: Floats) -> bool:
    """Return whether rows suffice for isotonic calibration."""
    return target.size >= ISOTONIC_ROWS and _rarer(target) >= ISOTONIC_RARER_CLASS


def _rarer(target: Floats) -> int:
    churned = int(target.sum())
    return min(churned, target.size - churned)


def _log_loss(target: Floats, probability: Floats) -> float:
    said = np.where(target > 0, probability, 1 - probability)
    return float(-np.log(said).mean())


def _margin(score: Floats) -> float:
    """Return how far probabilities keep from 0 and 1: half a row of those that calibrate.

    No churn among n rows shows a low rate, not that churn is impossible.
    """
    return 0.5 / score.size
