"""`holdfast ablate`: what features are worth, by leaving them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import fit, leaderboard, metrics
from ml.choosing import experiments, past
from ml.choosing.experiments import ALL, Experiment
from ml.clock import utc_now
from ml.errors import UsageError
from ml.judge import Evaluation
from ml.leaderboard import MEAN
from ml.metrics import REVENUE_CAUGHT, Estimate, Outcomes, Sampled
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.splits import Enough, Fold

Floats = NDArray[np.float64]

ABLATION = "ablation"
EXPERIMENT = "experiment"
LOSS = "loss_of_average_precision"
REVENUE_LOSS = "loss_of_revenue_caught_ratio"


@dataclass(frozen=True)
class Trial:
    """One experiment.

    Attributes
    ----------
    mean
        Average precision, averaged over the dates.
    loss
        How much less that is than with all features; the interval is of the paired difference.
        None for all features themselves.
    revenue
        The share of the churners' monthly revenue that the top share of the judged rows holds.
    revenue_loss
        How much less that is than with all features.
    """

    experiment: str
    features: int
    mean: Estimate
    loss: Estimate | None
    revenue: Estimate
    revenue_loss: Estimate | None


@dataclass(frozen=True)
class AblationResult:
    """The experiments, in the settings' order, all features first."""

    run_id: str
    family: str
    dates: tuple[str, ...]
    observations: int
    churned: int
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return dict(vars(self))


def ablate(
    settings: Settings,
    *,
    names: Sequence[str],
    family: str,
    dates: int,
    progress: Progress | None = None,
) -> AblationResult:
    """Judge one family with some of the features on past dates, beside itself with all of them.

    Parameters
    ----------
    names
        Experiments of the settings; all of them where none is named.
    family
        The family that is judged.
    dates
        How many of the newest dates whose labels are all known are judged, at most.

    Raises
    ------
    UsageError
        If an experiment is not in the settings, or names a feature that is not in the contract.
    DataError
        If no date can be judged by what was known on it.
    """
    say = progress or silent
    unknown = [name for name in names if name not in settings.experiments]
    if unknown:
        raise UsageError(
            f"Expected experiments of the settings, found '{unknown[0]}'. They have: "
            f"{', '.join(settings.experiments)}."
        )
    rows = past.read_past(settings, dates=dates, say=say)
    options = settings.train
    asked = {
        ALL: {},
        **{name: settings.experiments[name] for name in names or settings.experiments},
    }
    chosen = {
        name: experiments.experiment_of(name, values, rows.contract, options)
        for name, values in asked.items()
    }
    (wanted,) = rows.wanted([family])
    data, judged = rows.material.data, rows.split.validate
    outcomes = data.outcomes(judged)
    scores = {}
    for number, (name, experiment) in enumerate(chosen.items()):
        say(f"Judging {name}", number, len(chosen))
        scores[name] = _score(settings, wanted, rows, experiment)
    weights = metrics.draw_customers(
        outcomes, options.bootstrap_samples, np.random.default_rng(settings.seed)
    )
    histories = leaderboard.histories(
        outcomes,
        rows.split.fold,
        len(rows.split.folds),
        scores,
        weights,
    )
    revenues = {
        name: _revenue(outcomes, score, options.capacity_share, weights)
        for name, score in scores.items()
    }
    trials = tuple(
        Trial(
            experiment=name,
            features=len(experiment.types),
            mean=histories[name].overall.estimate,
            loss=None if name == ALL else histories[ALL].overall.less(histories[name].overall),
            revenue=revenues[name].estimate,
            revenue_loss=None if name == ALL else revenues[ALL].less(revenues[name]),
        )
        for name, experiment in chosen.items()
    )
    run_id = past.record(
        settings,
        split=ABLATION,
        params={"family": wanted, "experiments": len(trials)},
        figures={
            f"{each.experiment}.{MEAN}": each.mean.value
            for each in trials
            if each.mean.value is not None
        },
        pictures={},
        evaluations=_evaluations(wanted, trials, outcomes),
        evaluated_at=utc_now(),
    )
    return AblationResult(
        run_id=run_id,
        family=wanted,
        dates=tuple(fold.name for fold in rows.split.folds),
        observations=outcomes.target.size,
        churned=int(outcomes.target.sum()),
        trials=trials,
    )


def _revenue(outcomes: Outcomes, score: Floats, share: float, weights: Floats) -> Sampled:
    caught = metrics.revenue_caught_of(outcomes.target, score, outcomes.monthly_revenue, share)
    return metrics.sampled(caught, outcomes.customer, weights)


def _score(settings: Settings, family: str, rows: past.Past, experiment: Experiment) -> Floats:
    """Return one experiment's raw scores of the rows that the folds judge."""
    data, types = rows.material.data, experiment.types
    material = fit.Material(types, data, rows.material.frame[list(types)])
    pipelines = {family: fit.build(family, settings.train, types, settings.seed)}

    def scores(folds: Sequence[Fold]) -> Floats:
        return fit.validate(pipelines, material, folds, experiment.weighting)[family]

    whole = scores(rows.split.folds)
    if experiment.model_by is None:
        return whole
    everyone = np.ones(len(data.customer), dtype=bool)
    segment = data.segments(everyone)[experiment.model_by]
    enough = Enough(settings.train.min_train_rows, settings.train.min_positives)
    found = np.full(len(data.customer), np.nan)
    found[rows.split.validate] = whole
    for value in sorted({each for each in segment if each is not None}):
        of_value = np.asarray(segment == value)
        parts = [
            Fold(fold.name, fold.train & of_value, fold.judge & of_value)
            for fold in rows.split.folds
        ]
        # A part too small for a model of its own keeps the scores of the one for all.
        folds = [fold for fold in parts if enough.holds(data.is_churn[fold.train])]
        if folds:
            judged = np.any([fold.judge for fold in folds], axis=0)
            found[judged] = scores(folds)
    return found[rows.split.validate]


def _evaluations(
    family: str, trials: Sequence[Trial], outcomes: Outcomes
) -> tuple[Evaluation, ...]:
    return tuple(
        Evaluation(
            estimator=family,
            segment_type=EXPERIMENT,
            segment=each.experiment,
            metric=metric,
            value=estimate.value,
            lower_bound=estimate.lower,
            upper_bound=estimate.upper,
            observations=outcomes.target.size,
            churned=int(outcomes.target.sum()),
            split=ABLATION,
        )
        for each in trials
        for metric, estimate in (
            (MEAN, each.mean),
            (LOSS, each.loss),
            (REVENUE_CAUGHT, each.revenue),
            (REVENUE_LOSS, each.revenue_loss),
        )
        if estimate is not None
    )
