"""scikit-learn's ensembles of trees: random forest and histogram gradient boosting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from ml.families.encode import filled, spread
from ml.families.protocol import CLASSIFY, ENCODE, drawn_seed, mean_one, shares

Floats = NDArray[np.float64]

# A forest in which no tree has seen churn says 0, whose log-odds are no number.
_LEAST_PROBABILITY = 1e-4


class Forest(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A random forest whose mean vote is given in log-odds, as all other families give theirs."""

    def __init__(self, params: Mapping[str, Any], seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, encoded: Floats, target: Floats, sample_weight: Floats | None = None) -> "Forest":
        """Fit the trees."""
        self.trees_ = RandomForestClassifier(**self.params, random_state=self.seed)
        self.trees_.fit(encoded, target, sample_weight=mean_one(sample_weight))
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return the log-odds of the mean vote."""
        return _bounded_logit(self.trees_.predict_proba(encoded)[:, 1])

    def contributions(self, encoded: Floats) -> Floats:
        """Return TreeSHAP values of the vote, stretched to log-odds, base last.

        TreeSHAP divides the distance of the vote p from its base p0. Each part is multiplied by
        (logit p - logit p0) / (p - p0), so that the parts keep their proportions and add up to
        the distance in log-odds (the rescale rule of Shrikumar et al. 2017, "Learning important
        features through propagating activation differences").
        """
        explainer = _explainer(self.trees_)
        votes = explainer.shap_values(encoded, check_additivity=False)[:, :, 1]
        base = float(explainer.expected_value[1])
        vote = np.clip(base + votes.sum(axis=1), 0, 1)
        base_score = float(_bounded_logit(np.array(base)))
        score = _bounded_logit(vote)
        distance = votes.sum(axis=1)
        # Where the vote is the base itself, the slope of the log-odds there.
        slope = 1 / max(base * (1 - base), _LEAST_PROBABILITY)
        stretch = np.full(len(encoded), slope)
        np.divide(score - base_score, distance, out=stretch, where=np.abs(distance) > 1e-9)
        return np.column_stack([votes * stretch[:, None], np.full(len(encoded), base_score)])

    def importance(self) -> Floats:
        """Return each column's mean decrease of impurity, summing to 1."""
        return shares(np.asarray(self.trees_.feature_importances_))


class HistogramBoosting(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's histogram gradient boosting, which keeps no gain of its own to weigh by."""

    def __init__(self, params: Mapping[str, Any], seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "HistogramBoosting":
        """Fit the trees, without early stopping: that would hold out rows at random."""
        # scikit-learn cannot bin a column without any value.
        self.empty_ = np.isnan(encoded).all(axis=0)
        self.trees_ = HistGradientBoostingClassifier(
            **self.params, early_stopping=False, random_state=self.seed
        )
        self.trees_.fit(self._given(encoded), target, sample_weight=mean_one(sample_weight))
        self.classes_ = np.array([0, 1])
        gain = np.zeros(encoded.shape[1])
        for (tree,) in self.trees_._predictors:
            inner = tree.nodes[tree.nodes["is_leaf"] == 0]
            np.add.at(gain, inner["feature_idx"], inner["gain"])
        self.gain_ = gain
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds."""
        return np.asarray(self.trees_.decision_function(self._given(encoded)))

    def contributions(self, encoded: Floats) -> Floats:
        """Return TreeSHAP values, base last."""
        explainer = _explainer(self.trees_)
        values = explainer.shap_values(self._given(encoded), check_additivity=False)
        base = float(np.ravel(explainer.expected_value)[0])
        return np.column_stack([values, np.full(len(encoded), base)])

    def importance(self) -> Floats:
        """Return each column's gain over all splits, summing to 1."""
        return shares(self.gain_)

    def _given(self, encoded: Floats) -> Floats:
        return np.where(self.empty_, 0.0, encoded)


def build_forest(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the random forest: median for null, null flags, one-hot."""
    return Pipeline([(ENCODE, filled(types)), (CLASSIFY, Forest(dict(params), drawn_seed(rng)))])


def build_histogram(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return histogram gradient boosting: numbers as they are, null left to the trees, one-hot."""
    classify = HistogramBoosting(dict(params), drawn_seed(rng))
    return Pipeline([(ENCODE, spread(types)), (CLASSIFY, classify)])


def _bounded_logit(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)))


def _explainer(trees: Any) -> Any:
    # Importing shap takes seconds, which other families need not wait for.
    from shap import TreeExplainer

    return TreeExplainer(trees, feature_perturbation="tree_path_dependent")
