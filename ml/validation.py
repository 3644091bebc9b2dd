"""Judge families on past dates, each by what was known on it, before any test row is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ml import baselines, fit, leaderboard, metrics
from ml.baselines import BASE_RATE, RECENCY, BaseRate, RecencyAlone
from ml.judge import VALIDATION, Evaluation
from ml.leaderboard import Standing
from ml.metrics import Outcomes
from ml.progress import Progress, silent
from ml.settings import TrainSettings
from ml.splits import Fold, Split

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Validation:
    """What families and baselines could do on the folds.

    Attributes
    ----------
    outcomes
        What happened to the rows that the folds judge.
    scores
        Family to raw scores of those rows, each by a fit that had not seen it.
    all_scores
        Those of the baselines too.
    standings
        Families and baselines, best first.
    evaluations
        The standings as rows of `ml.evaluations`.
    """

    outcomes: Outcomes
    scores: Mapping[str, Floats]
    all_scores: Mapping[str, Floats]
    standings: tuple[Standing, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def chosen(self) -> str:
        """Return the family to keep: the first tried that no other beats beyond chance.

        The families stand in order of preference. A later one takes the place of the first only
        where the paired interval of their distance to the best says so: the winner of a few months
        is often the luckiest, and a family that changes at every training helps nobody.
        """
        gaps = {
            each.estimator: each.gap for each in self.standings if each.estimator in self.scores
        }
        for family in self.scores:
            gap = gaps[family]
            if gap is None or gap.upper is None or gap.upper >= 0:
                return family
        return next(iter(gaps))


def validate(
    material: fit.Material,
    split: Split,
    pipelines: Mapping[str, Pipeline],
    options: TrainSettings,
    rng: np.random.Generator,
    *,
    name: str = VALIDATION,
    progress: Progress = silent,
) -> Validation:
    """Judge families and baselines on the folds.

    Parameters
    ----------
    pipelines
        Family to its pipeline, not yet fitted.
    name
        What the rows are called in the evaluations.
    """
    data, rows = material.data, split.validate
    outcomes = data.outcomes(rows)
    scores = fit.validate(pipelines, material, split.folds, options.weighting, progress=progress)
    all_scores = {**scores, **_baseline_scores(material, split.folds, rows)}
    standings = leaderboard.leaderboard(
        outcomes,
        split.fold,
        [fold.name for fold in split.folds],
        all_scores,
        metrics.draw_customers(outcomes, options.bootstrap_samples, rng),
    )
    return Validation(
        outcomes=outcomes,
        scores=scores,
        all_scores=all_scores,
        standings=standings,
        evaluations=leaderboard.evaluations(standings, outcomes, name),
    )


def _baseline_scores(
    material: fit.Material, folds: tuple[Fold, ...], rows: NDArray[np.bool_]
) -> dict[str, Floats]:
    """Return the baselines' scores of the judged rows, fitted fold by fold as the families are."""
    found = {name: np.full(rows.size, np.nan) for name in (RECENCY, BASE_RATE)}
    for fold in folds:
        for name, score in _fold_baselines(material, fold).items():
            found[name][fold.judge] = score
    known = {name: score[rows] for name, score in found.items()}
    return {name: score for name, score in known.items() if not np.isnan(score).any()}


def _fold_baselines(material: fit.Material, fold: Fold) -> dict[str, Floats]:
    frame, target = material.frame.loc[fold.train], material.data.is_churn[fold.train]
    feature = baselines.recency_feature(frame)
    recency = (
        None if feature is None else RecencyAlone.fit(feature, frame[feature].to_numpy(), target)
    )
    judged: pd.DataFrame = material.frame.loc[fold.judge]
    said = fit.baseline_forecasts(recency, BaseRate.fit(target), judged)
    return {name: forecast.score for name, forecast in said.items()}
