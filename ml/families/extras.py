"""XGBoost and CatBoost: families whose libraries are installed as an extra."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ml.errors import HoldfastError
from ml.families.encode import spread
from ml.families.protocol import CLASSIFY, ENCODE, drawn_seed, mean_one, shares

Floats = NDArray[np.float64]

EXTRA = "boosters"


class XGBoostTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """XGBoost's trees on histograms."""

    def __init__(self, params: Mapping[str, Any], seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "XGBoostTrees":
        """Fit the trees; weights are brought to a mean of 1."""
        xgboost = require("xgboost")
        params = {"objective": "binary:logistic", "tree_method": "hist", **self.params}
        trees = int(params.pop("n_estimators", 100))
        rows = xgboost.DMatrix(encoded, label=target, weight=mean_one(sample_weight))
        booster = xgboost.train({**params, "seed": self.seed}, rows, trees)
        return self.adopt(booster, encoded.shape[1])

    def adopt(self, booster: Any, columns: int) -> "XGBoostTrees":
        """Take a booster as fitted, of so many columns that it knows as `f0`, `f1`, ..."""
        score = booster.get_score(importance_type="total_gain")
        self.gain_ = np.array([score.get(f"f{at}", 0.0) for at in range(columns)])
        # What is scored has no names.
        booster.feature_names = None
        self.booster_ = booster
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds."""
        rows = require("xgboost").DMatrix(encoded)
        return np.asarray(self.booster_.predict(rows, output_margin=True), dtype=np.float64)

    def contributions(self, encoded: Floats) -> Floats:
        """Return exact TreeSHAP values, base last."""
        rows = require("xgboost").DMatrix(encoded)
        parts = np.asarray(self.booster_.predict(rows, pred_contribs=True), dtype=np.float64)
        # XGBoost adds in single precision; what rounding leaves goes to the base.
        parts[:, -1] += self.decision_function(encoded) - parts.sum(axis=1)
        return parts

    def importance(self) -> Floats:
        """Return each column's total gain, summing to 1."""
        return shares(self.gain_)


class CatBoostTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """CatBoost's symmetric trees."""

    def __init__(self, params: Mapping[str, Any], seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(
        self, encoded: Floats, target: Floats, sample_weight: Floats | None = None
    ) -> "CatBoostTrees":
        """Fit the trees; weights are brought to a mean of 1."""
        catboost = require("catboost")
        self.trees_ = catboost.CatBoostClassifier(
            **self.params, random_seed=self.seed, verbose=False, allow_writing_files=False
        )
        self.trees_.fit(encoded, target, sample_weight=mean_one(sample_weight))
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds."""
        return np.asarray(self.trees_.predict(encoded, prediction_type="RawFormulaVal"))

    def contributions(self, encoded: Floats) -> Floats:
        """Return exact TreeSHAP values, base last."""
        pool = require("catboost").Pool(encoded)
        return np.asarray(self.trees_.get_feature_importance(pool, type="ShapValues"))

    def importance(self) -> Floats:
        """Return how much predictions change with each column, summing to 1."""
        return shares(np.asarray(self.trees_.feature_importances_, dtype=np.float64))


def build_xgboost(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the XGBoost family: numbers as they are, null left to the trees, one-hot."""
    require("xgboost")
    classify = XGBoostTrees(dict(params), drawn_seed(rng))
    return Pipeline([(ENCODE, spread(types)), (CLASSIFY, classify)])


def build_catboost(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the CatBoost family: numbers as they are, null left to the trees, one-hot."""
    require("catboost")
    classify = CatBoostTrees(dict(params), drawn_seed(rng))
    return Pipeline([(ENCODE, spread(types)), (CLASSIFY, classify)])


def require(library: str) -> Any:
    """Return a library of the extra.

    Raises
    ------
    HoldfastError
        If it is not installed, with the words that install it.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise HoldfastError(
            f"The family '{library}' needs a library that is not installed. Install it with "
            f"`pip install 'holdfast[{EXTRA}]'`, or leave the family out of `train.families`."
        ) from error
