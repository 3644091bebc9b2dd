"""What is recorded of a training, in the registry and in the warehouse."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from ml import thresholds
from ml.judge import Evaluation
from ml.leaderboard import Standing
from ml.policies import Policies
from ml.registry import MODEL_VERSIONS_SCHEMA, RegisteredVersion, write_model_version
from ml.thresholds import Reached
from ml.warehouse import Warehouse

EVALUATIONS_SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "model_name": pa.string(),
        "model_version": pa.int32(),
        "estimator": pa.string(),
        "split": pa.string(),
        "segment_type": pa.string(),
        "segment": pa.string(),
        "metric": pa.string(),
        "value": pa.float64(),
        "lower_bound": pa.float64(),
        "upper_bound": pa.float64(),
        "observations": pa.int32(),
        "churned": pa.int32(),
        "evaluated_at": pa.timestamp("us"),
    }
)

BOUND = "bound"

_FIGURES = ("threshold", *Reached.__dataclass_fields__)
THRESHOLDS_SCHEMA = pa.schema(
    [
        ("model_name", pa.string()),
        ("model_version", pa.int32()),
        ("run_id", pa.string()),
        ("policy", pa.string()),
        ("is_chosen", pa.bool_()),
        *(
            (f"{figure}{end}", pa.float64())
            for figure in _FIGURES
            for end in ("", "_lower", "_upper")
        ),
        ("why", pa.string()),
        ("decided_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class LabelRate:
    """How many labelled observations a cohort has, and how many of them churned."""

    cohort: str
    observations: int
    churned: int

    @property
    def rate(self) -> float:
        """Return the share that churned."""
        return self.churned / self.observations


@dataclass(frozen=True)
class TruthReport:
    """What the demo company's true probability reaches on the test rows that it covers.

    The truth never reaches a model.

    Attributes
    ----------
    of_truth, of_model
        Metric to figure, on the same rows; None where it has no value.
    """

    observations: int
    of_truth: Mapping[str, float | None]
    of_model: Mapping[str, float | None]


@dataclass(frozen=True)
class TrainingRecord:
    """Everything worth knowing of one training; kept with the model in the registry."""

    estimator: str
    trained_at: datetime
    training_cutoff: datetime
    train_from: date
    train_to: date
    test_from: date
    test_to: date
    train_rows: int
    calibration_rows: int
    test_rows: int
    purged_rows: int
    features_hash: str
    feature_count: int
    gold_fingerprint: str
    training_set_id: str
    training_set_sha256: str
    calibration_method: str
    standings: tuple[Standing, ...]
    policies: Policies
    tuned: Mapping[str, Any]
    evaluations: tuple[Evaluation, ...]
    label_rates: tuple[LabelRate, ...]
    truth: TruthReport | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON can hold it."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        } | {"policies": self.policies.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingRecord":
        """Return the record that `to_dict` wrote, of an earlier version too."""
        # Trainings once recorded a decision; the gates' results stand in the warehouse now.
        values = {name: value for name, value in values.items() if name != "decision"}
        times = {name: datetime.fromisoformat(values[name]) for name in _RECORD_TIMES}
        days = {name: date.fromisoformat(values[name]) for name in _RECORD_DAYS}
        truth = values["truth"]
        parts = {
            "evaluations": tuple(Evaluation(**each) for each in values["evaluations"]),
            "standings": tuple(Standing.from_dict(each) for each in values["standings"]),
            "policies": Policies.from_dict(values["policies"]),
            "label_rates": tuple(LabelRate(**each) for each in values["label_rates"]),
            "truth": None if truth is None else TruthReport(**truth),
            "notes": tuple(values["notes"]),
        }
        return cls(**{**values, **times, **days, **parts})


_RECORD_TIMES = ("trained_at", "training_cutoff")


_RECORD_DAYS = ("train_from", "train_to", "test_from", "test_to")


def is_written(warehouse: Warehouse, version: RegisteredVersion) -> bool:
    """Return whether the warehouse tells of this very version; its row is written last of all.

    The run tells it from a version of the same number in a registry that was removed since.
    """
    found = warehouse.query(
        "select 1 from ml.model_versions where model_name = ? and model_version = ? and run_id = ?",
        [version.model_name, version.model_version, version.run_id],
    )
    return bool(found.num_rows)


def write_record(warehouse: Warehouse, version: RegisteredVersion, record: TrainingRecord) -> None:
    """Write a version's evaluations and own row; the same twice, as once."""
    keys: dict[str, object] = {
        "model_name": version.model_name,
        "model_version": version.model_version,
    }
    run = {**keys, "run_id": version.run_id}
    warehouse.replace_slice(
        "ml.evaluations",
        pa.Table.from_pylist(
            [
                {**run, "evaluated_at": record.trained_at, **asdict(each)}
                for each in record.evaluations
            ],
            schema=EVALUATIONS_SCHEMA,
        ),
        where=keys,
    )
    write_policies(warehouse, version, record.policies, record.trained_at)
    # Last, so that a version with a row here has all the others.
    write_model_version(
        warehouse,
        {
            **run,
            **{
                name: value
                for name, value in vars(record).items()
                if name in MODEL_VERSIONS_SCHEMA.names
            },
        },
    )


def write_policies(
    warehouse: Warehouse, version: RegisteredVersion, policies: Policies, decided_at: datetime
) -> None:
    """Write a version's rows of `ml.thresholds`; the same twice, as once."""
    keys: dict[str, object] = {
        "model_name": version.model_name,
        "model_version": version.model_version,
    }
    rows = [
        {**thresholds.to_dict(each), "is_chosen": each.policy == policies.chosen}
        for each in policies.thresholds
    ]
    bound = policies.bound
    rows.append(
        {
            "policy": BOUND,
            "is_chosen": False,
            "threshold": bound.threshold,
            "share_called": bound.share_called,
            "why": bound.why,
        }
    )
    run = {**keys, "run_id": version.run_id, "decided_at": decided_at}
    warehouse.replace_slice(
        "ml.thresholds",
        pa.Table.from_pylist([{**run, **row} for row in rows], schema=THRESHOLDS_SCHEMA),
        where=keys,
    )
