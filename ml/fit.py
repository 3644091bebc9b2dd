"""Fit the families on the training rows, and forecast with what was fitted.

Each family is fitted twice. The first fit leaves out the customers that calibrate: its scores of
them are what the calibration is fitted on and the family chosen by. The second fit, the one that
is kept, takes all training rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ml import estimators, metrics
from ml.calibration import fit_calibrator
from ml.contract import FeatureContract
from ml.estimators import BASE_RATE, FAMILIES, LIGHTGBM, RECENCY, ChurnModel
from ml.metrics import Forecast
from ml.progress import Progress, silent
from ml.settings import TrainSettings
from ml.splits import Split
from ml.training_set import LabelledRows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FittedFamily:
    """A family fitted on all training rows, and what it could do before.

    Attributes
    ----------
    model
        Fitted on the rows that fit and on those that calibrate.
    held_out_score
        `(n_calibrate,)`: raw scores of the rows that calibrate, by the first fit, which had not
        seen their customers.
    """

    model: ChurnModel
    held_out_score: Floats


def fit_families(
    options: TrainSettings,
    contract: FeatureContract,
    data: LabelledRows,
    split: Split,
    frame: pd.DataFrame,
    rng: np.random.Generator,
    *,
    progress: Progress = silent,
) -> dict[str, FittedFamily]:
    """Return every family, fitted and calibrated; see `fit_family`."""
    fitted: dict[str, FittedFamily] = {}
    for step, family in enumerate(FAMILIES):
        progress(f"Fitting {family}", step, len(FAMILIES))
        fitted[family] = fit_family(family, options, contract, data, split, frame, rng)
    return fitted


def fit_family(
    family: str,
    options: TrainSettings,
    contract: FeatureContract,
    data: LabelledRows,
    split: Split,
    frame: pd.DataFrame,
    rng: np.random.Generator,
) -> FittedFamily:
    """Return one family: calibrated on customers held out, then fitted on all training rows.

    Parameters
    ----------
    data, split
        The labelled rows and their parts, `(n_observations,)`.
    frame
        Their features, `(n_observations, n_features)`, in the same order.
    rng
        Seeds the boosters; it moves on.
    """
    types = contract.types
    pipeline = (
        estimators.build_lightgbm(types, options.lightgbm, rng)
        if family == LIGHTGBM
        else estimators.build_logistic(types, options.logistic)
    )
    first = _fit(clone(pipeline), options, data, split.fit, frame)
    held_out_score = estimators.raw_score(first, frame.loc[split.calibrate])
    train = split.fit | split.calibrate
    train_frame, target = frame.loc[train], data.is_churn[train]
    feature = estimators.recency_feature(train_frame)
    model = ChurnModel(
        family=family,
        types=dict(types),
        features_hash=contract.features_hash,
        pipeline=_fit(pipeline, options, data, train, frame),
        # Calibration gives true frequencies, so its rows count once each, whatever their tier.
        calibrator=fit_calibrator(
            held_out_score, data.is_churn[split.calibrate], options.calibration_method
        ),
        recency=None
        if feature is None
        else estimators.RecencyAlone.fit(feature, train_frame[feature].to_numpy(), target),
        base_rate=estimators.BaseRate.fit(target),
    )
    return FittedFamily(model, held_out_score)


def _fit(
    pipeline: Pipeline,
    options: TrainSettings,
    data: LabelledRows,
    rows: Mask,
    frame: pd.DataFrame,
) -> Pipeline:
    weight = data.weight[rows] ** options.sample_weight_power
    return estimators.fit_pipeline(pipeline, frame.loc[rows], data.is_churn[rows], weight)


def held_out_precision(
    fitted: Mapping[str, FittedFamily], data: LabelledRows, split: Split
) -> dict[str, float]:
    """Return each family's average precision on customers held out: what it is chosen by."""
    target = data.is_churn[split.calibrate]
    return {
        family: float(metrics.average_precision(target, each.held_out_score))
        for family, each in fitted.items()
    }


def forecasts(models: Mapping[str, ChurnModel], frame: pd.DataFrame) -> dict[str, Forecast]:
    """Return the forecasts of each family and of the baselines, which all models share."""
    found = {}
    for family, model in models.items():
        score = model.raw_score(frame)
        found[family] = Forecast(score, model.calibrator.probability(score))
    some_model = next(iter(models.values()))
    if some_model.recency is not None:
        days = frame[some_model.recency.feature].to_numpy()
        found[RECENCY] = Forecast(
            some_model.recency.score(days), some_model.recency.probability(days)
        )
    if some_model.base_rate is not None:
        rate = some_model.base_rate.probability(len(frame))
        found[BASE_RATE] = Forecast(rate, rate)
    return found
