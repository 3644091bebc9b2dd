"""`holdfast train --tune N`: search a family's settings on the folds, never on the test dates."""

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from ml import families, fit, metrics
from ml.errors import HoldfastError
from ml.families import (
    CATBOOST,
    FOREST,
    HISTOGRAM,
    LIGHTGBM,
    LOGISTIC,
    NETWORK,
    XGBOOST,
)
from ml.families.protocol import raw_score
from ml.progress import Progress
from ml.settings import Settings
from ml.splits import Split

Space = Callable[[Any], dict[str, Any]]


def tune(
    settings: Settings, family: str, material: fit.Material, split: Split, key: str, say: Progress
) -> dict[str, Any]:
    """Return the settings of a family with the best average precision over the folds.

    The family's own settings are the first trial, so the search never ends below them. A trial that
    falls behind the median of those before it is given up between folds. The search is kept in
    `optuna.db` beside the registry: asked for more trials, it goes on from there.

    Parameters
    ----------
    key
        What tells these rows and folds from others: another key is another search.

    Raises
    ------
    HoldfastError
        If Optuna is not installed.
    """
    optuna = _optuna()
    options = settings.train
    study = optuna.create_study(
        study_name=f"{family} {key[:16]}",
        storage=f"sqlite:///{settings.local_dir / 'optuna.db'}",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    given = dict(options.options(family))

    def objective(trial: Any) -> float:
        params = {**given, **(_SPACES[family](trial) if trial.number else {})}
        trial.set_user_attr("params", params)
        rng = np.random.default_rng([settings.seed, families.ALL_FAMILIES.index(family)])
        pipeline = families.build(family, material.types, params, rng)
        reached: list[float] = []
        for step, fold in enumerate(split.folds):
            fitted = material.fitted(clone(pipeline), fold.train, options.weighting)
            score = raw_score(fitted, material.frame.loc[fold.judge])
            target = material.data.is_churn[fold.judge]
            reached.append(float(metrics.average_precision(target, score)))
            trial.report(float(np.mean(reached)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(reached))

    done = len([each for each in study.trials if each.state.is_finished()])
    left = options.tune_trials - done

    def tell(study: Any, trial: Any) -> None:
        say(f"Tuning {family}", trial.number + 1, options.tune_trials)

    if left > 0:
        say(f"Tuning {family}", done, options.tune_trials)
        study.optimize(
            objective, n_trials=left, timeout=float(options.tune_seconds), callbacks=[tell]
        )
    best: dict[str, Any] = study.best_trial.user_attrs["params"]
    return best


def _optuna() -> Any:
    try:
        optuna = importlib.import_module("optuna")
    except ImportError as error:
        raise HoldfastError(
            "Tuning needs a library that is not installed. Install it with "
            "`pip install 'holdfast[tune]'`, or train without `--tune`."
        ) from error
    optuna.logging.set_verbosity(logging.ERROR)
    return optuna


def _lightgbm(trial: Any) -> dict[str, Any]:
    leaves = trial.suggest_int("num_leaves", 4, 64, log=True)
    return {
        "num_leaves": leaves,
        "max_depth": -1,
        "n_estimators": trial.suggest_int("n_estimators", 50, 500, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 10, 500, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
    }


def _logistic(trial: Any) -> dict[str, Any]:
    return {"C": trial.suggest_float("C", 1e-4, 10.0, log=True)}


def _histogram(trial: Any) -> dict[str, Any]:
    return {
        "max_iter": trial.suggest_int("max_iter", 50, 400, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 64, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 10, 500, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 0.01, 100.0, log=True),
        "max_features": trial.suggest_float("max_features", 0.2, 1.0),
    }


def _forest(trial: Any) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 4, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 200, log=True),
        "max_features": trial.suggest_float("max_features", 0.05, 0.6),
        "max_samples": trial.suggest_float("max_samples", 0.1, 0.9),
    }


def _network(trial: Any) -> dict[str, Any]:
    return {
        "hidden_layer_sizes": [trial.suggest_int("units", 8, 128, log=True)],
        "alpha": trial.suggest_float("alpha", 1e-3, 30.0, log=True),
        "learning_rate_init": trial.suggest_float("learning_rate_init", 1e-4, 1e-2, log=True),
        "max_iter": trial.suggest_int("max_iter", 3, 30, log=True),
    }


def _xgboost(trial: Any) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 500, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 100.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
    }


def _catboost(trial: Any) -> dict[str, Any]:
    return {
        "iterations": trial.suggest_int("iterations", 100, 800, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "depth": trial.suggest_int("depth", 2, 8),
        "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 0.1, 100.0, log=True),
    }


_SPACES: Mapping[str, Space] = {
    LIGHTGBM: _lightgbm,
    LOGISTIC: _logistic,
    HISTOGRAM: _histogram,
    FOREST: _forest,
    NETWORK: _network,
    XGBOOST: _xgboost,
    CATBOOST: _catboost,
}
