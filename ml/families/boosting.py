"""LightGBM."""

import os
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ml.families import tree_shap
from ml.families.encode import coded
from ml.families.protocol import CLASSIFY, ENCODE, drawn_seed, mean_one, shares

Floats = NDArray[np.float64]

# Worked out when they are first asked for, and not saved with a model.
_TABLES: WeakKeyDictionary[lightgbm.Booster, tuple[tree_shap.Tree, ...] | None] = (
    WeakKeyDictionary()
)


class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The average of a few LightGBM boosters that differ in their seed alone.

    Averaging takes out much of the chance in row and column sampling, which on a few thousand
    rows is worth more than more trees. Raw scores are averaged, so TreeSHAP stays additive.

    Parameters
    ----------
    params
        LightGBM's parameters, and three of our own: `bags`, how many boosters at most;
        `bag_rows`, how many rows all of them may see together, for on many rows one booster is
        as steady as several on few; and `min_child_ratio`, a floor for `min_child_samples`
        relative to the training rows.
    categories
        Positions of the columns that hold category codes.
    seeds
        One seed for each booster.
    """

    def __init__(
        self, params: Mapping[str, Any], categories: tuple[int, ...], seeds: tuple[int, ...]
    ) -> None:
        self.params = params
        self.categories = categories
        self.seeds = seeds

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "BoostedTrees":
        """Fit every booster on all rows; weights are brought to a mean of 1."""
        params = boosting_params(self.params, rows=len(encoded))
        trees = int(params.pop("n_estimators", 100))
        dataset = lightgbm.Dataset(
            encoded,
            label=target,
            weight=mean_one(sample_weight),
            categorical_feature=list(self.categories),
            params=params,
            free_raw_data=False,
        )
        self.boosters_ = [
            lightgbm.train({**params, "seed": seed}, dataset, num_boost_round=trees)
            for seed in self.seeds[: _bags(self.params, rows=len(encoded))]
        ]
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return the mean raw score of the boosters, in log-odds."""
        scores = [booster.predict(encoded, raw_score=True) for booster in self.boosters_]
        return np.asarray(np.mean(scores, axis=0))

    def contributions(self, encoded: Floats) -> Floats:
        """Return the mean of the boosters' exact TreeSHAP values, base last."""
        total = np.zeros((len(encoded), encoded.shape[1] + 1))
        threads = int(self.params.get("n_jobs") or os.cpu_count() or 1)
        for booster in self.boosters_:
            if booster not in _TABLES:
                _TABLES[booster] = tree_shap.tabulate(booster)
            tables = _TABLES[booster]
            # Trees with many leaves, as a project may set them, are left to LightGBM.
            total += (
                booster.predict(encoded, pred_contrib=True)
                if tables is None
                else tree_shap.contributions(tables, encoded, threads)
            )
        return total / len(self.boosters_)

    def importance(self) -> Floats:
        """Return each column's mean gain over the boosters, summing to 1."""
        gains = [booster.feature_importance(importance_type="gain") for booster in self.boosters_]
        return shares(np.mean(gains, axis=0))


def boosting_params(params: Mapping[str, Any], *, rows: int) -> dict[str, Any]:
    """Return LightGBM's parameters for so many training rows, made deterministic.

    Examples
    --------
    >>> boosting_params({"min_child_samples": 30, "min_child_ratio": 0.01}, rows=5000)[
    ...     "min_child_samples"
    ... ]
    50
    """
    own = {"bags", "bag_rows", "min_child_ratio"}
    result = {name: value for name, value in params.items() if name not in own}
    smallest = int(result.get("min_child_samples", 20))
    result["min_child_samples"] = max(smallest, round(params.get("min_child_ratio", 0) * rows))
    # A column's histogram is one thread's work, in the order of rows: the same trees however many.
    fixed = {
        "objective": "binary",
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    return {**result, **fixed}


def _bags(params: Mapping[str, Any], *, rows: int) -> int:
    """Return how many boosters are fitted on so many rows: 1 at least."""
    bags = int(params.get("bags", 1))
    most_rows = params.get("bag_rows")
    return bags if most_rows is None else max(1, min(bags, int(most_rows) // rows))


def build_lightgbm(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the LightGBM family: category codes, numbers as they are, null left to the trees."""
    encode, positions = coded(types)
    seeds = tuple(drawn_seed(rng) for _ in range(int(params.get("bags", 1))))
    return Pipeline([(ENCODE, encode), (CLASSIFY, BoostedTrees(dict(params), positions, seeds))])
