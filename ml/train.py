"""Train, judge and register a model: read, call, write.

Each step lies elsewhere: what may be trained on in `plan`, fitting in `fit`, the verdict in `judge`
and `assess`, which version serves in `promotion`. This module calls them in order.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from ml import charts, checks, estimators, fit, matrix, tracking, train_spark
from ml.assess import make_record
from ml.card.write import has_card, write_card
from ml.champion import read_record
from ml.choosing.past import with_families
from ml.choosing.tuning import tune
from ml.clock import utc_now
from ml.contract import load_contract
from ml.costs import read_costs
from ml.door import require_pass
from ml.errors import DataError
from ml.estimators import ChurnModel
from ml.frozen import freeze, sets
from ml.frozen.sets import FrozenSet
from ml.judge import judge
from ml.plan import Plan, make_plan, plan_of
from ml.policies import decide
from ml.progress import Progress, silent
from ml.promotion.gates import Gate
from ml.promotion.settle import is_settled, settle
from ml.records import TrainingRecord
from ml.registry import RegisteredVersion, Registry
from ml.settings import Settings
from ml.truth import compare_with_truth
from ml.validation import validate
from ml.warehouse import open_warehouse, require_warehouse


@dataclass(frozen=True)
class TrainResult:
    """What `train` came to.

    Attributes
    ----------
    is_new
        False when this very training had been done before and nothing was changed.
    is_champion
        Whether this version serves now.
    verdict
        The outcome in one plain sentence.
    gates
        What the gates said of it on its way to champion; empty where none were asked.
    """

    model_name: str
    model_version: int
    run_id: str
    is_new: bool
    is_champion: bool
    verdict: str
    gates: tuple[Gate, ...]
    record: TrainingRecord

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        own = {name: value for name, value in vars(self).items() if name not in ("record", "gates")}
        gates = [gate.to_dict() for gate in self.gates]
        return {**own, "gates": gates, **self.record.to_dict()}


@dataclass(frozen=True)
class _Trained:
    """What a training made: the chosen model, its record and the pictures of its test."""

    model: ChurnModel
    record: TrainingRecord
    figures: dict[str, Figure]


def train(
    settings: Settings,
    *,
    training_set: str | None = None,
    families: str | None = None,
    tune_trials: int | None = None,
    all_rows: bool | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train families, choose one by past dates, judge it on later ones, and register it.

    The rows are frozen first, and what is trained on is read from the frozen file. Families are
    chosen on the folds of `splits.split_rows`, never on the test dates, which only the chosen one
    and the baselines are judged on.

    A new version becomes candidate, and goes on to champion where the gates let it; see
    `ml.promotion`.

    The same training done twice (the same gold rows, labels, features, settings and code) is
    done once: the second call returns the first's version.

    Parameters
    ----------
    training_set
        The id of a frozen set to train on, or the beginning of one; None: what the warehouse holds
        now.
    families
        Families of models to try, with commas between; None: `train.families`.
    tune_trials
        How many settings of each family are tried on the folds; None: `train.tune_trials`.
    all_rows
        Whether the model that is kept is fitted on all rows, on Spark's executors; None:
        `train.all_rows`.

    Raises
    ------
    DataError
        If the data cannot carry a training: no rows, no label yet, one class only ...
    ContractError
        If gold does not fit the feature contract, or its rows fail the check at the door.
    HoldfastError
        If the warehouse or the registry cannot be used.
    """
    say = progress or silent
    settings = _with(settings, families, tune_trials, all_rows)
    if settings.train.all_rows:
        train_spark.require_possible(settings)
    say("Reading labels", 0, 0)
    plan = _plan(settings, training_set)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    model_name = settings.train.model_name
    store.end_killed(model_name)
    known = store.trained_with(model_name, plan.training_key)
    if known is not None:
        record = read_record(store, known)
        if (frozen := sets.find(settings, record.training_set_id)) is not None:
            freeze.register(settings, frozen)
        result = _settled(settings, store, known, record, say, is_new=False)
        if frozen is not None and sets.data_path(settings, frozen.training_set_id).is_file():
            # Where the training was cut off, or its first card was.
            _write_card(settings, store, known, say)
        return result
    frozen = _freeze(settings, plan, training_set, say)
    say("Reading features", 0, 0)
    frame = sets.read_frame(settings, frozen)
    with store.run(model_name) as run_id:
        say("Checking the training matrix", 0, 0)
        _check_door(settings, plan, frame, run_id)
        trained = _fit_and_judge(settings, plan, frozen, frame, store, say)
        record = trained.record
        say("Registering the model", 0, 0)
        store.log(
            run_id,
            params=tracking.logged_params(settings, record),
            metrics=tracking.logged_metrics(record),
            figures=trained.figures,
            tags={**_named(frozen), "features_hash": record.features_hash},
        )
        version = store.register(
            run_id,
            model_name,
            trained.model,
            record=record.to_dict(),
            training_key=plan.training_key,
            tags=_named(frozen),
        )
    freeze.register(settings, frozen)
    result = _settled(settings, store, version, record, say, is_new=True)
    _write_card(settings, store, version, say)
    return result


def is_current(settings: Settings) -> bool:
    """Return whether `train` would find its very training done, and so change nothing.

    Raises
    ------
    HoldfastError
        As `train` does where the data cannot carry a training.
    """
    with open_warehouse(settings, read_only=True) as warehouse:
        plan = make_plan(settings, warehouse)
        store = Registry(settings.mlflow_uri, settings.artifact_root)
        known = store.trained_with(settings.train.model_name, plan.training_key)
        if known is None:
            return False
        return is_settled(settings, warehouse, store, known)


def _write_card(
    settings: Settings, store: Registry, version: RegisteredVersion, say: Progress
) -> None:
    if settings.card.after_training and not has_card(settings, store, version):
        write_card(settings, store, version, progress=say)


def _with(
    settings: Settings, families: str | None, tune_trials: int | None, all_rows: bool | None
) -> Settings:
    options = with_families(settings.train, families)
    if tune_trials is not None:
        options = replace(options, tune_trials=tune_trials)
    if all_rows is not None:
        options = replace(options, all_rows=all_rows)
    return replace(settings, train=options)


def _plan(settings: Settings, training_set: str | None) -> Plan:
    require_warehouse(settings)
    with open_warehouse(settings, read_only=True) as warehouse:
        if training_set is None:
            return make_plan(settings, warehouse)
        costs = read_costs(settings, warehouse)
    frozen = sets.named(settings, training_set)
    features_now = load_contract(settings.manifest_path).features_hash
    if frozen.features_hash != features_now:
        raise DataError(
            f"Expected the frozen set {frozen.training_set_id[:12]} to have the features of gold, "
            "found others: a model trained on it could score nobody. Go back to the code of then, "
            "or freeze anew: `holdfast freeze`."
        )
    return plan_of(settings, sets.read_history(settings, frozen), costs)


def _freeze(settings: Settings, plan: Plan, training_set: str | None, say: Progress) -> FrozenSet:
    if training_set is not None:
        return sets.named(settings, training_set)
    frozen = freeze.write_set(settings, progress=say).frozen
    if frozen.training_set_id != plan.training_set_id:
        raise DataError(
            "Expected the same rows of gold.training_set as a moment ago, found others: "
            "something rebuilt gold meanwhile. Run again when it is done."
        )
    return frozen


def _named(frozen: FrozenSet) -> dict[str, str]:
    """Return what names a frozen set where a model is registered."""
    return {
        "training_set_id": frozen.training_set_id,
        "training_set_sha256": frozen.sha256,
        "training_set_path": frozen.path,
    }


def _check_door(settings: Settings, plan: Plan, frame: pd.DataFrame, run_id: str) -> None:
    data = plan.data
    keys = pd.DataFrame(
        {
            "customer_id": pd.Series(
                matrix.to_objects(data.keys.column("customer_id")), dtype=object
            ),
            "as_of_date": data.as_of_date,
            "label_known_at": data.label_known_at,
            "is_churn": data.is_churn,
            "sample_weight": data.weight,
            "monthly_revenue": data.monthly_revenue,
        }
    )
    require_pass(
        settings,
        pd.concat([keys, frame], axis=1),
        checks.training_expectations(plan.contract.types),
        suite=checks.TRAINING_SUITE,
        run_id=run_id,
        checked_at=utc_now(),
    )


def _fit_and_judge(
    settings: Settings,
    plan: Plan,
    frozen: FrozenSet,
    frame: pd.DataFrame,
    store: Registry,
    say: Progress,
) -> _Trained:
    options, data, split = settings.train, plan.data, plan.split
    rng = np.random.default_rng(settings.seed)
    material = fit.Material(plan.contract.types, data, frame)
    tuned: dict[str, dict[str, Any]] = {}
    if options.tune_trials:
        tuned = {
            family: tune(settings, family, material, split, plan.training_set_id, say)
            for family in plan.families
        }
        options = options.with_options(tuned)
    pipelines = fit.build_all(plan.families, options, material.types, settings.seed)
    validated = validate(material, split, pipelines, options, rng, progress=say)
    chosen = validated.chosen
    say(f"Fitting {chosen} on all rows", 0, 0)
    model = fit.fit_model(
        chosen,
        pipelines[chosen],
        options,
        plan.contract,
        material,
        split,
        validated.scores[chosen],
    )
    rows = None
    if options.all_rows:
        say(f"Fitting {chosen} on the executors", 0, 0)
        model.pipeline, rows = train_spark.fit_on_all_rows(settings, plan, model.pipeline)
    model.policies = decide(
        validated.outcomes,
        model.calibrator.probability(validated.scores[chosen]),
        data.segments(split.validate)["value_tier"],
        plan.costs,
        options=settings.decide,
        share=options.capacity_share,
        samples=options.bootstrap_samples,
        rng=rng,
    )
    say("Judging on the test dates", 0, 0)
    outcomes = data.outcomes(split.test)
    forecasts = fit.forecasts(model, frame.loc[split.test])
    judged = judge(
        outcomes,
        data.segments(split.test),
        forecasts,
        share=options.capacity_share,
        samples=options.bootstrap_samples,
        rng=rng,
    )
    test_keys = data.keys.filter(pa.array(split.test))
    record = make_record(
        plan,
        frame,
        judged,
        model,
        validated=validated,
        tuned=tuned.get(chosen, {}),
        truth=compare_with_truth(
            settings.truth_dir, test_keys, outcomes, forecasts[chosen], options.capacity_share
        ),
        training_set_sha256=frozen.sha256,
        fitted_rows=rows,
        trained_at=utc_now(),
    )
    say("Drawing the curves", 0, 0)
    figures = charts.pictures(
        outcomes.target, forecasts, chosen, estimators.importance(model), options.capacity_share
    )
    return _Trained(model, record, figures)


def _settled(
    settings: Settings,
    store: Registry,
    version: RegisteredVersion,
    record: TrainingRecord,
    say: Progress,
    *,
    is_new: bool,
) -> TrainResult:
    settled = settle(settings, store, version, record, progress=say)
    return TrainResult(
        model_name=version.model_name,
        model_version=version.model_version,
        run_id=version.run_id,
        is_new=is_new,
        is_champion=settled.is_champion,
        verdict=settled.verdict,
        gates=settled.gates,
        record=record,
    )
