"""Train, judge and register a model: read, call, write.

The pure parts live elsewhere: who may train on what in `splits`, the families and baselines in
`estimators`, the metrics in `metrics`, the verdict in `judge`. This module calls them in order.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml import charts, checks, estimators, matrix, metrics, registry, splits
from ml.calibration import fit_calibrator
from ml.contract import FeatureContract, load_contract
from ml.errors import DataError, HoldfastError
from ml.estimators import BASE_RATE, FAMILIES, LIGHTGBM, RECENCY, ChurnModel
from ml.judge import Decision, Evaluation, Judgement, decide, judge
from ml.metrics import AVERAGE_PRECISION, METRICS, Estimate, Forecast, Outcomes
from ml.progress import Progress, silent
from ml.records import LabelRate, TrainingRecord, TruthReport, is_written, write_record
from ml.registry import CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings, TrainSettings
from ml.training_set import (
    LabelledRows,
    gold_fingerprint_of,
    read_features,
    read_labelled_rows,
    read_test_period,
    require_features,
    sha256_of,
)
from ml.warehouse import Warehouse

Mask = NDArray[np.bool_]

# A change in any of these modules may change a model, so it asks for a new training.


_CODE = (
    "calibration",
    "contract",
    "estimators",
    "judge",
    "matrix",
    "metrics",
    "splits",
    "train",
    "training_set",
)


_LIBRARIES = ("lightgbm", "numpy", "scikit-learn")


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
    """

    model_name: str
    model_version: int
    run_id: str
    is_new: bool
    is_champion: bool
    verdict: str
    record: TrainingRecord

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        own = {name: value for name, value in vars(self).items() if name != "record"}
        return {**own, **self.record.to_dict()}


@dataclass(frozen=True)
class EvaluateResult:
    """The champion judged again on its test dates, with the labels as they are known now."""

    model_name: str
    model_version: int
    run_id: str
    estimator: str
    test_from: date
    test_to: date
    evaluations: tuple[Evaluation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class _Plan:
    """What is to be trained: the rows' parts and what identifies the training."""

    contract: FeatureContract
    data: LabelledRows
    period: splits.TestPeriod
    split: splits.Split
    gold_fingerprint: str
    training_set_id: str
    training_key: str


def train(settings: Settings, *, progress: Progress | None = None) -> TrainResult:
    """Train both families, judge them beside the baselines, and register the better one.

    Which version serves, for now, is a simple rule:

    - A model is publishable if its average precision on the test rows beats recency alone, the
      95 % interval of the paired difference (bootstrap by customer) lying above zero.
    - With no champion, the first publishable model becomes champion.
    - With a champion, a publishable model takes its place if it was trained on other gold rows
      or features, and its average precision is not below the lower bound of the champion's
      recorded interval. The two may have been judged on different test dates.

    The same training done twice (the same gold rows, labels, features, settings and code) is
    done once: the second call returns the first's version.

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
    say("Reading labels", 0, 0)
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        plan = _plan(settings, warehouse)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    model_name = settings.train.model_name
    known = store.trained_with(model_name, plan.training_key)
    if known is not None:
        record = TrainingRecord.from_dict(store.load_record(known))
        _settle(settings, store, known, record)
        return _result(store, known, record, is_new=False)
    say("Reading features", 0, 0)
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        frame = read_features(warehouse, plan.contract.types, plan.data)
    with store.run(model_name) as run_id:
        say("Checking the training matrix", 0, 0)
        _check_door(settings, plan, frame, run_id)
        record, model, figures = _fit_andjudge(settings, plan, frame, store, say)
        say("Registering the model", 0, 0)
        store.log(
            run_id,
            params=_logged_params(settings, record),
            metrics=_logged_metrics(record),
            figures=figures,
            tags={"training_set_id": plan.training_set_id, "features_hash": record.features_hash},
        )
        version = store.register(
            run_id, model_name, model, record=record.to_dict(), training_key=plan.training_key
        )
    _settle(settings, store, version, record)
    return _result(store, version, record, is_new=True)


def is_current(settings: Settings) -> bool:
    """Return whether `train` would find its very training done, and so change nothing.

    Raises
    ------
    HoldfastError
        As `train` does where the data cannot carry a training.
    """
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        plan = _plan(settings, warehouse)
        store = Registry(settings.mlflow_uri, settings.artifact_root)
        known = store.trained_with(settings.train.model_name, plan.training_key)
        if known is None:
            return False
        return _is_settled(warehouse, known, TrainingRecord.from_dict(store.load_record(known)))


def evaluate(settings: Settings, *, progress: Progress | None = None) -> EvaluateResult:
    """Judge the champion again on its recorded test dates.

    Labels that have changed since, because late data was known, are used as they are now.

    Raises
    ------
    HoldfastError
        If there is no champion, or the warehouse cannot be used.
    """
    say = progress or silent
    say("Loading the champion", 0, 0)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    version = require_champion(store, settings.train.model_name)
    model = store.load_model(version)
    record = TrainingRecord.from_dict(store.load_record(version))
    say("Judging the champion", 0, 0)
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        data = read_labelled_rows(warehouse)
        is_test = (data.as_of_date >= np.datetime64(record.test_from)) & (
            data.as_of_date <= np.datetime64(record.test_to)
        )
        if not is_test.any():
            raise DataError(
                f"Expected labelled rows from {record.test_from} to {record.test_to}, the test "
                "dates of the champion, found none in gold.training_set. Build gold for those "
                "dates, or train again: `holdfast train`."
            )
        require_features(warehouse, "gold.training_set", model.types)
        frame = read_features(warehouse, model.types, data)
    judged = judge(
        data.outcomes(is_test),
        data.segments(is_test),
        _forecasts({model.family: model}, frame.loc[is_test]),
        share=settings.train.capacity_share,
        samples=settings.train.bootstrap_samples,
        rng=np.random.default_rng(settings.seed),
    )
    return EvaluateResult(
        model_name=version.model_name,
        model_version=version.model_version,
        run_id=version.run_id,
        estimator=model.family,
        test_from=record.test_from,
        test_to=record.test_to,
        evaluations=judged.evaluations,
    )


def require_champion(store: Registry, model_name: str) -> RegisteredVersion:
    """Return the version that serves.

    Raises
    ------
    HoldfastError
        If none does, saying why that may be and what to do.
    """
    version = store.champion(model_name)
    if version is None:
        raise HoldfastError(
            f"Expected a champion of the model '{model_name}', found none: either nothing was "
            "trained yet, or no model has beaten recency alone. Run `holdfast train` and read "
            "its verdict."
        )
    return version


def code_hash() -> str:
    """Return a sha256 over the code and the libraries that a model depends on."""
    total = hashlib.sha256()
    for name in _CODE:
        source = importlib.import_module(f"ml.{name}").__file__
        total.update(Path(str(source)).read_bytes())
    for name in _LIBRARIES:
        total.update(f"{name} {library_version(name)}\n".encode())
    return total.hexdigest()


def _plan(settings: Settings, warehouse: Warehouse) -> _Plan:
    contract = load_contract(settings.manifest_path)
    period = read_test_period(warehouse, settings.train.test_dates)
    data = read_labelled_rows(warehouse)
    require_features(warehouse, "gold.training_set", contract.types)
    split = splits.split_rows(
        customer=data.customer,
        customers=data.customers,
        as_of_date=data.as_of_date,
        label_known_at=data.label_known_at,
        period=period,
        calibration_share=settings.train.calibration_share,
        seed=settings.seed,
    )
    splits.require_enough(
        split,
        data.is_churn,
        min_rows=settings.train.min_train_rows,
        min_positives=settings.train.min_positives,
        period=period,
    )
    used = split.fit | split.calibrate | split.test
    gold_fingerprint = gold_fingerprint_of(warehouse, data.as_of_date[used])
    labels = matrix.digest(data.keys.filter(pa.array(used)))
    training_set_id = sha256_of(
        contract.features_hash, gold_fingerprint, labels, str(period.cutoff)
    )
    training_key = sha256_of(
        training_set_id, _json(_plain(settings.train)), str(settings.seed), code_hash()
    )
    return _Plan(contract, data, period, split, gold_fingerprint, training_set_id, training_key)


def _check_door(settings: Settings, plan: _Plan, frame: pd.DataFrame, run_id: str) -> None:
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
    report = checks.check(
        pd.concat([keys, frame], axis=1),
        checks.training_expectations(plan.contract.types),
        suite=checks.TRAINING_SUITE,
        run_id=run_id,
        checked_at=_now(),
    )
    keep_report(settings, report)
    checks.require_success(report)


def keep_report(settings: Settings, report: checks.CheckReport) -> None:
    """Keep a check's results in `ml.check_results` and as JSON among the reports."""
    checks.write_json(report, settings.reports_dir)
    with Warehouse.open(settings.warehouse_path) as warehouse:
        warehouse.append("ml.check_results", checks.to_rows(report))


def _fit_andjudge(
    settings: Settings, plan: _Plan, frame: pd.DataFrame, store: Registry, say: Progress
) -> tuple[TrainingRecord, ChurnModel, dict[str, Any]]:
    data, split = plan.data, plan.split
    fit_rng, bootstrap_rng = np.random.default_rng(settings.seed).spawn(2)
    models: dict[str, ChurnModel] = {}
    for step, family in enumerate(FAMILIES):
        say(f"Fitting {family}", step, len(FAMILIES))
        models[family] = _fit(family, settings.train, plan, frame, fit_rng)
    candidates = {
        family: float(
            metrics.average_precision(
                data.is_churn[split.calibrate], model.raw_score(frame.loc[split.calibrate])
            )
        )
        for family, model in models.items()
    }
    chosen = max(candidates, key=lambda family: candidates[family])
    say("Judging on the test dates", 0, 0)
    outcomes = data.outcomes(split.test)
    forecasts = _forecasts(models, frame.loc[split.test])
    judged = judge(
        outcomes,
        data.segments(split.test),
        forecasts,
        share=settings.train.capacity_share,
        samples=settings.train.bootstrap_samples,
        rng=bootstrap_rng,
    )
    record = _record(settings, plan, store, judged, models[chosen], candidates, frame)
    say("Drawing the curves", 0, 0)
    figures = charts.pictures(
        outcomes.target,
        forecasts,
        chosen,
        estimators.importance(models[chosen]),
        settings.train.capacity_share,
    )
    truth = _truth(settings, data.keys.filter(pa.array(split.test)), outcomes, forecasts[chosen])
    return replace(record, truth=truth), models[chosen], figures


def _fit(
    family: str,
    options: TrainSettings,
    plan: _Plan,
    frame: pd.DataFrame,
    rng: np.random.Generator,
) -> ChurnModel:
    data, split, types = plan.data, plan.split, plan.contract.types
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
        features_hash=plan.contract.features_hash,
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


def _forecasts(models: Mapping[str, ChurnModel], frame: pd.DataFrame) -> dict[str, Forecast]:
    """Return the forecasts of each family and of the baselines, which all models share."""
    forecasts = {}
    for family, model in models.items():
        score = model.raw_score(frame)
        forecasts[family] = Forecast(score, model.calibrator.probability(score))
    some_model = next(iter(models.values()))
    if some_model.recency is not None:
        days = frame[some_model.recency.feature].to_numpy()
        forecasts[RECENCY] = Forecast(
            some_model.recency.score(days), some_model.recency.probability(days)
        )
    if some_model.base_rate is not None:
        rate = some_model.base_rate.probability(len(frame))
        forecasts[BASE_RATE] = Forecast(rate, rate)
    return forecasts


def _record(
    settings: Settings,
    plan: _Plan,
    store: Registry,
    judged: Judgement,
    model: ChurnModel,
    candidates: Mapping[str, float],
    frame: pd.DataFrame,
) -> TrainingRecord:
    data, split = plan.data, plan.split
    train_dates = data.as_of_date[split.fit | split.calibrate]
    used = split.fit | split.calibrate | split.test
    return TrainingRecord(
        estimator=model.family,
        trained_at=_now(),
        training_cutoff=plan.period.cutoff,
        train_from=matrix.as_date(train_dates.min()),
        train_to=matrix.as_date(train_dates.max()),
        test_from=plan.period.dates[0],
        test_to=plan.period.dates[-1],
        train_rows=int(split.fit.sum()),
        calibration_rows=int(split.calibrate.sum()),
        test_rows=int(split.test.sum()),
        purged_rows=split.purged,
        features_hash=plan.contract.features_hash,
        feature_count=len(plan.contract.names),
        gold_fingerprint=plan.gold_fingerprint,
        training_set_id=plan.training_set_id,
        training_set_sha256=_content_hash(data, frame, used),
        calibration_method=model.calibrator.method,
        candidates=dict(candidates),
        decision=_decision(settings, plan, store, judged, model.family),
        evaluations=judged.evaluations,
        label_rates=_label_rates(data),
        truth=None,
        notes=_notes(frame.loc[split.fit], model),
    )


def _decision(
    settings: Settings, plan: _Plan, store: Registry, judged: Judgement, family: str
) -> Decision:
    baseline = RECENCY if RECENCY in judged.precision_samples else BASE_RATE
    own = judged.overall(family, AVERAGE_PRECISION)
    other = judged.overall(baseline, AVERAGE_PRECISION)
    if own.value is None or other.value is None:
        difference = Estimate(None)
    else:
        difference = metrics.estimate(
            own.value - other.value,
            judged.precision_samples[family] - judged.precision_samples[baseline],
        )
    champion = store.champion(settings.train.model_name)
    precision, is_other = None, True
    if champion is not None:
        served = TrainingRecord.from_dict(store.load_record(champion))
        precision = Judgement(served.evaluations).overall(served.estimator, AVERAGE_PRECISION)
        is_other = (served.gold_fingerprint, served.features_hash) != (
            plan.gold_fingerprint,
            plan.contract.features_hash,
        )
    return decide(
        own,
        difference,
        baseline=baseline,
        champion=None if champion is None else champion.model_version,
        champion_precision=precision,
        is_other_training=is_other,
    )


def _label_rates(data: LabelledRows) -> tuple[LabelRate, ...]:
    cohorts = matrix.to_objects(data.keys.column("cohort"))
    return tuple(
        LabelRate(
            cohort, int((cohorts == cohort).sum()), int(data.is_churn[cohorts == cohort].sum())
        )
        for cohort in sorted({cohort for cohort in cohorts if cohort is not None})
    )


def _notes(fit_frame: pd.DataFrame, model: ChurnModel) -> tuple[str, ...]:
    notes = []
    empty = [name for name in model.types if fit_frame[name].isna().all()]
    if empty:
        notes.append(f"null in every training row, kept: {', '.join(empty)}")
    if model.recency is None:
        notes.append("no recency feature has a value: the base rate is the only baseline")
    return tuple(notes)


def _truth(
    settings: Settings, test_keys: pa.Table, outcomes: Outcomes, forecast: Forecast
) -> TruthReport | None:
    path = settings.truth_dir / "monthly_churn.parquet"
    if not path.is_file():
        return None
    truth = pq.read_table(
        path, columns=["customer_id", "as_of_date", "churn_probability_horizon"]
    ).to_pandas()
    rows = pd.DataFrame(
        {
            "customer_id": test_keys.column("customer_id").to_pandas(),
            "as_of_date": matrix.to_days(test_keys.column("as_of_date")),
            "row": np.arange(test_keys.num_rows),
        }
    )
    truth["as_of_date"] = pd.to_datetime(truth["as_of_date"]).astype(rows["as_of_date"].dtype)
    joined = rows.merge(truth, on=["customer_id", "as_of_date"], validate="1:1").dropna()
    row = joined["row"].to_numpy()
    target, probability = outcomes.target[row], joined["churn_probability_horizon"].to_numpy()
    if row.size == 0 or target.min() == target.max():
        return None
    return TruthReport(
        observations=int(row.size),
        average_precision=float(metrics.average_precision(target, probability)),
        roc_auc=float(metrics.roc_auc(target, probability)),
        model_average_precision=float(metrics.average_precision(target, forecast.score[row])),
        model_roc_auc=float(metrics.roc_auc(target, forecast.score[row])),
    )


def _settle(
    settings: Settings, store: Registry, version: RegisteredVersion, record: TrainingRecord
) -> None:
    """Let a registered version take effect: alias, then the rows that tell of it.

    Doing it again changes nothing, so a run cut off between two steps is mended by the next.
    """
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        if _is_settled(warehouse, version, record):
            return
    decision = record.decision
    with Warehouse.open(settings.warehouse_path) as warehouse:
        write_record(warehouse, version, record)
        if not decision.promotes or _has_served(warehouse, version, record):
            return
        serves = store.champion(version.model_name)
        if (None if serves is None else serves.model_version) == decision.from_version:
            store.set_alias(version.model_name, CHAMPION, version.model_version)
        elif serves != version:
            # Someone has promoted another version since: theirs is the last word.
            return
        registry.append_alias_change(
            warehouse,
            {
                "model_name": version.model_name,
                "alias": CHAMPION,
                "from_version": decision.from_version,
                "to_version": version.model_version,
                "changed_at": _now(),
                "changed_by": "holdfast train",
                "why": decision.why,
                "evidence": decision.evidence,
            },
        )


def _is_settled(warehouse: Warehouse, version: RegisteredVersion, record: TrainingRecord) -> bool:
    if not is_written(warehouse, version):
        return False
    return not record.decision.promotes or _has_served(warehouse, version, record)


def _has_served(warehouse: Warehouse, version: RegisteredVersion, record: TrainingRecord) -> bool:
    return registry.has_alias_change(
        warehouse,
        version.model_name,
        CHAMPION,
        version.model_version,
        since=record.trained_at,
    )


def _result(
    store: Registry, version: RegisteredVersion, record: TrainingRecord, *, is_new: bool
) -> TrainResult:
    is_champion = store.champion(version.model_name) == version
    return TrainResult(
        model_name=version.model_name,
        model_version=version.model_version,
        run_id=version.run_id,
        is_new=is_new,
        is_champion=is_champion,
        verdict=_verdict(record.decision, is_champion=is_champion),
        record=record,
    )


def _verdict(decision: Decision, *, is_champion: bool) -> str:
    if is_champion:
        return f"The model serves as champion: {decision.why}."
    if not decision.is_publishable:
        return f"The model is not published: {decision.why} ({decision.evidence})."
    if decision.promotes:
        return "The model served as champion; another version has taken its place since."
    return f"The champion stays: {decision.why} ({decision.evidence})."


def _logged_params(settings: Settings, record: TrainingRecord) -> dict[str, object]:
    options = _plain(settings.train)
    families = {
        f"{name}.{key}": value
        for name in ("lightgbm", "logistic")
        for key, value in options.pop(name).items()
    }
    shown = (
        "estimator",
        "calibration_method",
        "training_cutoff",
        "train_rows",
        "calibration_rows",
        "test_rows",
        "feature_count",
        "gold_fingerprint",
    )
    return {
        **options,
        **families,
        **{name: getattr(record, name) for name in shown},
        "seed": settings.seed,
    }


def _logged_metrics(record: TrainingRecord) -> dict[str, float]:
    logged = {
        f"{each.estimator}.{each.metric}": each.value
        for each in record.evaluations
        if each.segment_type == "overall" and each.value is not None
    }
    chosen = {
        metric: logged[f"{record.estimator}.{metric}"]
        for metric in METRICS
        if f"{record.estimator}.{metric}" in logged
    }
    return {**logged, **chosen}


def _content_hash(data: LabelledRows, frame: pd.DataFrame, rows: Mask) -> str:
    features = pa.Table.from_pandas(frame.loc[rows], preserve_index=False)
    return sha256_of(matrix.digest(data.keys.filter(pa.array(rows))), matrix.digest(features))


def _plain(options: TrainSettings) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in vars(options).items()
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def _now() -> datetime:
    """Return the moment in UTC, for the run's own bookkeeping alone."""
    return datetime.now(UTC).replace(tzinfo=None)
