"""Fit the families on the training rows, and forecast with what was fitted."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ml import estimators, metrics
from ml.calibration import fit_calibrator
from ml.contract import FeatureContract
from ml.estimators import BASE_RATE, FAMILIES, LIGHTGBM, RECENCY, ChurnModel
from ml.metrics import Forecast
from ml.progress import Progress, silent
from ml.settings import TrainSettings
from ml.splits import Split
from ml.training_set import LabelledRows


def fit_families(
    options: TrainSettings,
    contract: FeatureContract,
    data: LabelledRows,
    split: Split,
    frame: pd.DataFrame,
    rng: np.random.Generator,
    *,
    progress: Progress = silent,
) -> dict[str, ChurnModel]:
    """Return every family, fitted and calibrated; see `fit_family`."""
    models: dict[str, ChurnModel] = {}
    for step, family in enumerate(FAMILIES):
        progress(f"Fitting {family}", step, len(FAMILIES))
        models[family] = fit_family(family, options, contract, data, split, frame, rng)
    return models


def fit_family(
    family: str,
    options: TrainSettings,
    contract: FeatureContract,
    data: LabelledRows,
    split: Split,
    frame: pd.DataFrame,
    rng: np.random.Generator,
) -> ChurnModel:
    """Return one family, fitted on the rows that fit and calibrated on those that calibrate.

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
    fit_frame, target = frame.loc[split.fit], data.is_churn[split.fit]
    weight = data.weight[split.fit] if options.sample_weights else None
    estimators.fit_pipeline(pipeline, fit_frame, target, weight)
    feature = estimators.recency_feature(fit_frame)
    model = ChurnModel(
        family=family,
        types=dict(types),
        features_hash=contract.features_hash,
        pipeline=pipeline,
        calibrator=None,
        recency=None
        if feature is None
        else estimators.RecencyAlone.fit(feature, fit_frame[feature].to_numpy(), target),
        base_rate=estimators.BaseRate.fit(target),
    )
    # Calibration gives true frequencies, so its rows count once each, whatever their tier.
    model.calibrator = fit_calibrator(
        model.raw_score(frame.loc[split.calibrate]),
        data.is_churn[split.calibrate],
        options.calibration_method,
    )
    return model


def calibration_precision(
    models: Mapping[str, ChurnModel], data: LabelledRows, split: Split, frame: pd.DataFrame
) -> dict[str, float]:
    """Return each family's average precision on the rows that calibrate: what it is chosen by."""
    rows = split.calibrate
    return {
        family: float(
            metrics.average_precision(data.is_churn[rows], model.raw_score(frame.loc[rows]))
        )
        for family, model in models.items()
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
