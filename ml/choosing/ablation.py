"""`holdfast ablate`: what features are worth, by leaving them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml import fit, leaderboard, metrics
from ml.choosing import experiments, past
from ml.choosing.experiments import ALL
from ml.clock import utc_now
from ml.errors import UsageError
from ml.judge import Evaluation
from ml.leaderboard import MEAN
from ml.metrics import Estimate
from ml.progress import Progress, silent
from ml.settings import Settings

ABLATION = "ablation"
EXPERIMENT = "experiment"
LOSS = "loss_of_average_precision"


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
    """

    experiment: str
    features: int
    mean: Estimate
    loss: Estimate | None


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
    chosen = {ALL: rows.contract.types} | {
        name: experiments.features_of(name, settings.experiments[name], rows.contract)
        for name in names or settings.experiments
    }
    (wanted,) = rows.wanted([family])
    data, judged = rows.material.data, rows.split.validate
    outcomes = data.outcomes(judged)
    scores = {}
    for number, (name, types) in enumerate(chosen.items()):
        say(f"Judging {name}", number, len(chosen))
        material = fit.Material(types, data, rows.material.frame[list(types)])
        pipeline = fit.build(wanted, settings.train, types, settings.seed)
        found = fit.validate(
            {wanted: pipeline}, material, rows.split.folds, settings.train.sample_weight_power
        )
        scores[name] = found[wanted]
    rng = np.random.default_rng(settings.seed)
    customers = int(outcomes.customer.max()) + 1
    histories = leaderboard.histories(
        outcomes,
        rows.split.fold,
        len(rows.split.folds),
        scores,
        metrics.resample_customers(customers, settings.train.bootstrap_samples, rng),
    )
    trials = tuple(
        Trial(
            experiment=name,
            features=len(types),
            mean=histories[name].estimate,
            loss=None if name == ALL else histories[ALL].less(histories[name]),
        )
        for name, types in chosen.items()
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


def _evaluations(
    family: str, trials: Sequence[Trial], outcomes: metrics.Outcomes
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
        for metric, estimate in ((MEAN, each.mean), (LOSS, each.loss))
        if estimate is not None
    )
