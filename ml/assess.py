"""Write down what there is to know of a training, once its models are judged."""

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from ml import matrix
from ml.estimators import ChurnModel
from ml.judge import Judgement
from ml.plan import Plan
from ml.policies import Policies
from ml.records import LabelRate, TrainingRecord, TruthReport
from ml.training_set import LabelledRows
from ml.validation import Validation


def make_record(
    plan: Plan,
    frame: pd.DataFrame,
    judged: Judgement,
    model: ChurnModel,
    *,
    validated: Validation,
    tuned: Mapping[str, object],
    truth: TruthReport | None,
    training_set_sha256: str,
    fitted_rows: int | None,
    trained_at: datetime,
) -> TrainingRecord:
    """Return the record of a training.

    Parameters
    ----------
    judged
        The test's results for every estimator.
    model
        The family that was chosen.
    validated
        What the families could do on the folds.
    tuned
        The settings that tuning found for the chosen family; none where it was not tuned.
    training_set_sha256
        Of the frozen file it was trained on.
    fitted_rows
        How many rows the executors fitted it on; None where it learnt from the frozen ones.
    """
    data, split = plan.data, plan.split
    train_dates = data.as_of_date[split.train]
    return TrainingRecord(
        estimator=model.family,
        trained_at=trained_at,
        training_cutoff=plan.period.cutoff,
        train_from=matrix.as_date(train_dates.min()),
        train_to=matrix.as_date(train_dates.max()),
        test_from=plan.period.dates[0],
        test_to=plan.period.dates[-1],
        train_rows=int(split.train.sum()),
        calibration_rows=int(split.validate.sum()),
        test_rows=int(split.test.sum()),
        purged_rows=split.purged,
        features_hash=plan.contract.features_hash,
        feature_count=len(plan.contract.names),
        gold_fingerprint=plan.gold_fingerprint,
        training_set_id=plan.training_set_id,
        training_set_sha256=training_set_sha256,
        calibration_method=model.calibrator.method,
        standings=validated.standings,
        policies=_decided(model),
        tuned=dict(tuned),
        evaluations=(*judged.evaluations, *validated.evaluations),
        label_rates=_label_rates(data),
        truth=truth,
        notes=_notes(data, frame.loc[split.train], model, fitted_rows),
    )


def _decided(model: ChurnModel) -> Policies:
    if model.policies is None:
        raise ValueError("a model is decided on before it is recorded")
    return model.policies


def _label_rates(data: LabelledRows) -> tuple[LabelRate, ...]:
    cohorts = matrix.to_objects(data.keys.column("cohort"))
    return tuple(
        LabelRate(
            cohort, int((cohorts == cohort).sum()), int(data.is_churn[cohorts == cohort].sum())
        )
        for cohort in sorted({cohort for cohort in cohorts if cohort is not None})
    )


def _notes(
    data: LabelledRows, train_frame: pd.DataFrame, model: ChurnModel, fitted_rows: int | None
) -> tuple[str, ...]:
    notes = []
    if not data.sample.is_all:
        notes.append(
            f"gold has more rows than `train.max_rows`: read were those of {data.sample.share:.2%} "
            f"of the customers, {data.customer.size:,} rows, each for {data.sample.weight:.2f} rows"
        )
    if fitted_rows is not None:
        notes.append(f"fitted on all {fitted_rows:,} rows that may train, on Spark's executors")
    empty = [name for name in model.types if train_frame[name].isna().all()]
    if empty:
        notes.append(f"null in every training row, kept: {', '.join(empty)}")
    if model.recency is None:
        notes.append("no recency feature has a value: the base rate is the only baseline")
    return tuple(notes)
