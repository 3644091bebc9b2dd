"""Fit families, and forecast with what was fitted.

A family is fitted once for each fold, on what was known then: its scores of the rows that the fold
judges are what it is chosen and calibrated by. The family that is chosen is fitted once more, on
all rows that may train.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ml import baselines, families
from ml.baselines import BASE_RATE, RECENCY, BaseRate, RecencyAlone
from ml.calibration import fit_calibrator
from ml.contract import FeatureContract
from ml.estimators import ChurnModel
from ml.families.protocol import fit_pipeline, raw_score
from ml.metrics import Forecast
from ml.progress import Progress, silent
from ml.settings import TrainSettings
from ml.splits import Fold, Split
from ml.training_set import LabelledRows
from ml.weights import Weighting

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Material:
    """What families learn from.

    Attributes
    ----------
    types
        Feature to type: those that the families are given.
    data
        The labelled rows.
    frame
        Their features, `(n_observations, n_features)`, in the same order.
    """

    types: Mapping[str, str]
    data: LabelledRows
    frame: pd.DataFrame

    def fitted(self, pipeline: Pipeline, rows: Mask, weighting: Weighting) -> Pipeline:
        """Return a pipeline fitted on some rows, each counted by what it is worth."""
        data, target = self.data, self.data.is_churn[rows]
        weight = weighting.weights(data.weight[rows], data.monthly_revenue[rows], target)
        return fit_pipeline(pipeline, self.frame.loc[rows], target, weight)


def build(family: str, options: TrainSettings, types: Mapping[str, str], seed: int) -> Pipeline:
    """Return a family's pipeline with the project's settings, not yet fitted.

    Each family draws from a stream of its own, whatever others are tried beside it.
    """
    rng = np.random.default_rng([seed, families.ALL_FAMILIES.index(family)])
    return families.build(family, types, options.options(family), rng)


def build_all(
    names: Sequence[str], options: TrainSettings, types: Mapping[str, str], seed: int
) -> dict[str, Pipeline]:
    """Return the pipelines of some families; see `build`."""
    return {family: build(family, options, types, seed) for family in names}


def validate(
    pipelines: Mapping[str, Pipeline],
    material: Material,
    folds: Sequence[Fold],
    weighting: Weighting,
    *,
    progress: Progress = silent,
) -> dict[str, Floats]:
    """Return each family's raw scores of the rows that the folds judge, in the rows' order.

    No row is scored by a fit that has seen it or anything known after its fold's date.

    Parameters
    ----------
    pipelines
        Family to its pipeline, not yet fitted.
    """
    found = {}
    judged = np.any([fold.judge for fold in folds], axis=0)
    steps = len(pipelines) * len(folds)
    for number, (family, pipeline) in enumerate(pipelines.items()):
        score = np.full(len(material.frame), np.nan)
        for at, fold in enumerate(folds):
            progress(f"Judging {family} as of {fold.name}", number * len(folds) + at, steps)
            fitted = material.fitted(clone(pipeline), fold.train, weighting)
            score[fold.judge] = raw_score(fitted, material.frame.loc[fold.judge])
        found[family] = score[judged]
    return found


def fit_model(
    family: str,
    pipeline: Pipeline,
    options: TrainSettings,
    contract: FeatureContract,
    material: Material,
    split: Split,
    validated: Floats,
) -> ChurnModel:
    """Return the model that is kept: fitted on all rows that train, calibrated by the folds.

    Parameters
    ----------
    validated
        The family's scores of the rows that the folds judge.
    """
    data = material.data
    frame, target = material.frame.loc[split.train], data.is_churn[split.train]
    feature = baselines.recency_feature(frame)
    return ChurnModel(
        family=family,
        types=dict(material.types),
        features_hash=contract.features_hash,
        pipeline=material.fitted(pipeline, split.train, options.weighting),
        # Calibration gives true frequencies, so its rows count once each, whatever their tier.
        calibrator=fit_calibrator(
            validated,
            data.is_churn[split.validate],
            options.calibration_method,
            _days(data.as_of_date[split.validate]),
        ),
        recency=None
        if feature is None
        else RecencyAlone.fit(feature, frame[feature].to_numpy(), target),
        base_rate=BaseRate.fit(target),
    )


def forecasts(model: ChurnModel, frame: pd.DataFrame) -> dict[str, Forecast]:
    """Return the forecasts of a model and of the baselines beside it."""
    score = model.raw_score(frame)
    return {
        model.family: calibrated(model, score),
        **baseline_forecasts(model.recency, model.base_rate, frame),
    }


def calibrated(model: ChurnModel, score: Floats) -> Forecast:
    """Return raw scores with the probabilities that they stand for, before and after."""
    return Forecast(score, model.calibrator.probability(score), expit(score))


def baseline_forecasts(
    recency: RecencyAlone | None, base_rate: BaseRate | None, frame: pd.DataFrame
) -> dict[str, Forecast]:
    """Return what recency alone and the base rate say of some rows."""
    found = {}
    if recency is not None:
        days = frame[recency.feature].to_numpy()
        found[RECENCY] = Forecast(recency.score(days), recency.probability(days))
    if base_rate is not None:
        rate = base_rate.probability(len(frame))
        found[BASE_RATE] = Forecast(rate, rate)
    return found


def _days(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return dates.astype("datetime64[D]").astype(np.int64)
