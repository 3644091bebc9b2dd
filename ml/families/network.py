"""A small neural network."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

from ml.families.encode import scaled
from ml.families.protocol import CLASSIFY, ENCODE, drawn_seed, mean_one, shares

Floats = NDArray[np.float64]

# Columns are in standard deviations; one far out would rule a network that never saw its like.
_FARTHEST = 5.0


class Network(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A perceptron of rectified units for a set number of passes over the rows.

    Contributions are DeepLIFT's by the rescale rule (Shrikumar et al. 2017), measured from the
    mean training row: they add up to the score exactly.
    """

    def __init__(self, params: Mapping[str, Any], seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "Network":
        """Fit the weights, without early stopping: that would hold out rows at random."""
        inside = _clipped(encoded)
        network = MLPClassifier(**self.params, activation="relu", random_state=self.seed)
        with warnings.catch_warnings():
            # The number of passes is a setting, not a failure to converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(inside, target, sample_weight=mean_one(sample_weight))
        self.weights_ = [np.asarray(each, dtype=np.float64) for each in network.coefs_]
        self.biases_ = [np.asarray(each, dtype=np.float64) for each in network.intercepts_]
        self.means_ = np.average(inside, axis=0, weights=sample_weight)
        parts = self.contributions(encoded[:: max(1, len(encoded) // 5000)])
        self.size_ = np.abs(parts[:, :-1]).mean(axis=0)
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds."""
        return np.asarray(self._layers(_clipped(encoded))[-1][:, 0])

    def contributions(self, encoded: Floats) -> Floats:
        """Return DeepLIFT's parts, base last."""
        inside = _clipped(encoded)
        before = self._layers(inside)
        reference = self._layers(self.means_[None, :])
        multiplier = np.tile(self.weights_[-1][:, 0], (len(inside), 1))
        for layer in range(len(self.weights_) - 2, -1, -1):
            distance = before[layer] - reference[layer]
            moved = np.maximum(before[layer], 0) - np.maximum(reference[layer], 0)
            slope = np.broadcast_to(reference[layer] > 0, distance.shape).astype(np.float64)
            np.divide(moved, distance, out=slope, where=np.abs(distance) > 1e-12)
            multiplier = (multiplier * slope) @ self.weights_[layer].T
        parts = (inside - self.means_) * multiplier
        return np.column_stack([parts, np.full(len(inside), reference[-1][0, 0])])

    def importance(self) -> Floats:
        """Return the mean size of each column's contribution on training rows, summing to 1."""
        return shares(self.size_)

    def _layers(self, inside: Floats) -> list[Floats]:
        """Return what enters the units of every layer, the output's last."""
        entering: list[Floats] = []
        for weight, bias in zip(self.weights_, self.biases_, strict=True):
            given = np.maximum(entering[-1], 0) if entering else inside
            entering.append(given @ weight + bias)
        return entering


def build_network(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the network: encoded as for logistic regression."""
    return Pipeline([(ENCODE, scaled(types)), (CLASSIFY, Network(dict(params), drawn_seed(rng)))])


def _clipped(encoded: Floats) -> Floats:
    return np.asarray(np.clip(encoded, -_FARTHEST, _FARTHEST), dtype=np.float64)
