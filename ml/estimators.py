"""Model families as scikit-learn pipelines, and the baselines every model is held against.

Whatever is fitted (encoding, imputation, scaling) is fitted on the rows given to `fit` and saved
with the model. Each family offers the same two things: `decision_function`, the raw score in
log-odds, and `contributions`, its exact division among the encoded columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from ml.contract import kind_of

Floats = NDArray[np.float64]

LIGHTGBM = "lightgbm"
LOGISTIC = "logistic_regression"
RECENCY = "recency"
BASE_RATE = "base_rate"
FAMILIES = (LIGHTGBM, LOGISTIC)

# In this order: an inactivity project has orders but may have no activity at all.
RECENCY_FEATURES = ("days_since_last_activity", "days_since_last_order")

# A category seen in fewer training rows than this is put with the other rare ones; so are all
# beyond the most frequent thirty. Finer levels are memorised, not learnt.
_RARE_CATEGORY_ROWS = 50
_MOST_CATEGORIES = 30
_ENCODE, _CLASSIFY = "encode", "classify"


class Classifier(Protocol):
    """The last step of a family's pipeline."""

    def decision_function(self, encoded: Floats) -> Floats:
        """Return raw scores in log-odds, of shape `(n,)`."""
        ...

    def contributions(self, encoded: Floats) -> Floats:
        """Return `(n, n_encoded + 1)`: a part for every column, and last the base."""
        ...

    def importance(self) -> Floats:
        """Return the weight of each column, of shape `(n_encoded,)`, summing to 1."""
        ...


class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The average of a few LightGBM boosters that differ in their seed alone.

    Averaging takes out much of the chance in row and column sampling, which on a few thousand
    rows is worth more than more trees. Raw scores are averaged, so TreeSHAP stays additive.

    Parameters
    ----------
    params
        LightGBM's parameters, and two of our own: `bags`, how many boosters, and
        `min_child_ratio`, a floor for `min_child_samples` relative to the training rows.
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
        weight = None if sample_weight is None else sample_weight / sample_weight.mean()
        params = boosting_params(self.params, rows=len(encoded))
        trees = int(params.pop("n_estimators", 100))
        dataset = lightgbm.Dataset(
            encoded,
            label=target,
            weight=weight,
            categorical_feature=list(self.categories),
            params=params,
            free_raw_data=False,
        )
        self.boosters_ = [
            lightgbm.train({**params, "seed": seed}, dataset, num_boost_round=trees)
            for seed in self.seeds
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
        for booster in self.boosters_:
            total += booster.predict(encoded, pred_contrib=True)
        return total / len(self.boosters_)

    def importance(self) -> Floats:
        """Return each column's mean gain over the boosters, summing to 1."""
        gain = np.mean(
            [booster.feature_importance(importance_type="gain") for booster in self.boosters_],
            axis=0,
        )
        return np.asarray(gain / gain.sum() if gain.sum() > 0 else gain)


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
        weight = None if sample_weight is None else sample_weight / sample_weight.mean()
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
        size = np.abs(self.coefficients_) * self.spreads_
        return np.asarray(size / size.sum() if size.sum() > 0 else size)


def boosting_params(params: Mapping[str, Any], *, rows: int) -> dict[str, Any]:
    """Return LightGBM's parameters for so many training rows, made deterministic.

    Examples
    --------
    >>> boosting_params({"min_child_samples": 30, "min_child_ratio": 0.01}, rows=5000)[
    ...     "min_child_samples"
    ... ]
    50
    """
    own = {"bags", "min_child_ratio"}
    result = {name: value for name, value in params.items() if name not in own}
    smallest = int(result.get("min_child_samples", 20))
    result["min_child_samples"] = max(smallest, round(params.get("min_child_ratio", 0) * rows))
    # Row-wise histograms in a fixed order: the same trees for any number of threads.
    fixed = {
        "objective": "binary",
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return {**result, **fixed}


def split_types(types: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names of numbers and booleans, and those of categories."""
    categories = [name for name, kind in types.items() if kind_of(name, kind) == "category"]
    numbers = [name for name in types if name not in set(categories)]
    return numbers, categories


def build_lightgbm(
    types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return the LightGBM family: category codes, numbers as they are, null left to the trees.

    A category not seen in training reads as null.
    """
    numbers, categories = split_types(types)
    encode = ColumnTransformer(
        [
            ("numbers", "passthrough", numbers),
            (
                "categories",
                OrdinalEncoder(
                    handle_unknown="use_encoded_value",
                    unknown_value=np.nan,
                    encoded_missing_value=np.nan,
                    min_frequency=_RARE_CATEGORY_ROWS,
                    max_categories=_MOST_CATEGORIES,
                ),
                categories,
            ),
        ],
        sparse_threshold=0,
    )
    seeds = tuple(int(seed) for seed in rng.integers(2**31 - 1, size=int(params.get("bags", 1))))
    positions = tuple(range(len(numbers), len(numbers) + len(categories)))
    return Pipeline([(_ENCODE, encode), (_CLASSIFY, BoostedTrees(dict(params), positions, seeds))])


def build_logistic(types: Mapping[str, str], params: Mapping[str, Any]) -> Pipeline:
    """Return the logistic family: signed logarithm, median for null, null flags, one-hot.

    Amounts and counts are heavy-tailed; the signed logarithm keeps the largest customers from
    ruling the fit. A category not seen in training reads as one of the rare ones.
    """
    numbers, categories = split_types(types)
    of_numbers = Pipeline(
        [
            ("logarithm", FunctionTransformer(signed_log, feature_names_out="one-to-one")),
            (
                "impute",
                SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            ),
            ("scale", StandardScaler()),
        ]
    )
    of_categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=_RARE_CATEGORY_ROWS,
        max_categories=_MOST_CATEGORIES,
        sparse_output=False,
    )
    encode = ColumnTransformer(
        [("numbers", of_numbers, numbers), ("categories", of_categories, categories)],
        sparse_threshold=0,
    )
    return Pipeline([(_ENCODE, encode), (_CLASSIFY, LinearOdds(dict(params)))])


def signed_log(values: Floats) -> Floats:
    """Return `sign(x) * log(1 + |x|)`; null stays null."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def fit_pipeline(
    pipeline: Pipeline, frame: pd.DataFrame, target: Floats, weight: Floats | None
) -> Pipeline:
    """Fit a family on the training rows, with their weights."""
    return pipeline.fit(frame, target, **{f"{_CLASSIFY}__sample_weight": weight})


def raw_score(pipeline: Pipeline, frame: pd.DataFrame) -> Floats:
    """Return the raw scores of a fitted family in log-odds, before calibration."""
    encoded = np.asarray(pipeline.named_steps[_ENCODE].transform(frame), dtype=np.float64)
    return np.asarray(pipeline.named_steps[_CLASSIFY].decision_function(encoded))


def encoded_sources(pipeline: Pipeline) -> list[str]:
    """Return the feature that each encoded column of a fitted pipeline comes from."""
    encode: ColumnTransformer = pipeline.named_steps[_ENCODE]
    sources: list[str] = []
    for name, transformer, columns in encode.transformers_:
        if not columns:
            continue
        if name == "numbers" and isinstance(transformer, Pipeline):
            indicator = transformer.named_steps["impute"].indicator_
            flagged = [] if indicator is None else list(indicator.features_)
            sources += [*columns, *(columns[position] for position in flagged)]
        elif isinstance(transformer, OneHotEncoder):
            for position, column in enumerate(columns):
                sources += [column] * _one_hot_columns(transformer, position)
        else:
            sources += columns
    return sources


def _one_hot_columns(encoder: OneHotEncoder, position: int) -> int:
    levels = len(encoder.categories_[position])
    rare = encoder.infrequent_categories_[position]
    return levels if rare is None else levels - len(rare) + 1


@dataclass(frozen=True)
class RecencyAlone:
    """The baseline that ranks by one feature: the days since the customer was last seen.

    The score is the days themselves; null (never seen, or too long ago) is one day beyond the
    longest of the training rows. The probability is isotonic in the days.
    """

    feature: str
    beyond: float
    regression: IsotonicRegression

    @classmethod
    def fit(cls, feature: str, days: Floats, target: Floats) -> "RecencyAlone":
        """Fit on training rows; `days` may hold nan."""
        beyond = float(np.nanmax(days)) + 1 if np.isfinite(days).any() else 1.0
        regression = IsotonicRegression(increasing=True, out_of_bounds="clip")
        regression.fit(np.where(np.isnan(days), beyond, days), target)
        return cls(feature, beyond, regression)

    def score(self, days: Floats) -> Floats:
        """Return the days, null filled."""
        return np.where(np.isnan(days), self.beyond, days)

    def probability(self, days: Floats) -> Floats:
        """Return the churn rate of training rows of such recency."""
        return np.asarray(self.regression.predict(self.score(days)), dtype=np.float64)


@dataclass(frozen=True)
class BaseRate:
    """The baseline that knows nothing but the churn rate of the training rows."""

    rate: float

    @classmethod
    def fit(cls, target: Floats) -> "BaseRate":
        """Fit on training rows."""
        return cls(float(target.mean()))

    def probability(self, rows: int) -> Floats:
        """Return the rate, once a row."""
        return np.full(rows, self.rate)


def recency_feature(frame: pd.DataFrame) -> str | None:
    """Return the recency feature that has values in these rows, or None."""
    for name in RECENCY_FEATURES:
        if name in frame.columns and frame[name].notna().any():
            return name
    return None


class ChurnModel(BaseEstimator):  # type: ignore[misc]
    """A fitted family with its calibrator, the features it needs and the baselines beside it.

    Parameters
    ----------
    family
        'lightgbm' or 'logistic_regression'.
    types
        Feature to type, in the contract's order: what a frame must hold.
    features_hash
        The contract's hash.
    pipeline
        Fitted on the training rows.
    calibrator
        Fitted on customers that a first fit of the pipeline had not seen.
    recency, base_rate
        The baselines, fitted on the training rows.
    """

    def __init__(
        self,
        family: str,
        types: Mapping[str, str],
        features_hash: str,
        pipeline: Pipeline,
        calibrator: Any,
        recency: RecencyAlone | None = None,
        base_rate: BaseRate | None = None,
    ) -> None:
        self.family = family
        self.types = types
        self.features_hash = features_hash
        self.pipeline = pipeline
        self.calibrator = calibrator
        self.recency = recency
        self.base_rate = base_rate

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Return the encoded columns, `(n_observations, n_encoded)`."""
        return np.asarray(self.pipeline.named_steps[_ENCODE].transform(frame), dtype=np.float64)

    @property
    def classifier(self) -> Classifier:
        """Return the pipeline's last step."""
        last: Classifier = self.pipeline.named_steps[_CLASSIFY]
        return last

    def raw_score(self, frame: pd.DataFrame) -> Floats:
        """Return raw scores in log-odds, before calibration."""
        return raw_score(self.pipeline, frame)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return calibrated churn probabilities."""
        return np.asarray(self.calibrator.probability(self.raw_score(frame)))


@dataclass(frozen=True)
class Importance:
    """How much each feature weighs in a model, largest first, summing to 1."""

    features: tuple[str, ...]
    shares: tuple[float, ...] = field(default=())


def importance(model: ChurnModel) -> Importance:
    """Return the share of each feature: of the gain in trees, of usual moves in the linear."""
    sources = pd.Series(model.classifier.importance(), index=encoded_sources(model.pipeline))
    shares = sources.groupby(level=0).sum().sort_index()
    shares = shares.iloc[np.argsort(-shares.to_numpy(), kind="stable")]
    return Importance(tuple(shares.index), tuple(float(share) for share in shares))
