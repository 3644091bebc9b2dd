"""Plan a training: which rows, parted how, and what identifies the whole of it."""

import hashlib
import importlib
import json
from dataclasses import dataclass
from importlib.metadata import version as library_version
from pathlib import Path

import pyarrow as pa

from ml import matrix, splits
from ml.contract import FeatureContract, load_contract
from ml.settings import Settings
from ml.training_set import (
    LabelledRows,
    gold_fingerprint_of,
    read_labelled_rows,
    read_test_period,
    require_features,
    sha256_of,
)
from ml.warehouse import Warehouse

# A change in any of these modules may change a model or its record, so it asks for a new training.
_CODE = (
    "assess",
    "calibration",
    "contract",
    "estimators",
    "fit",
    "judge",
    "matrix",
    "metrics",
    "plan",
    "splits",
    "train",
    "training_set",
    "truth",
)
_LIBRARIES = ("lightgbm", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes
    ----------
    training_set_id
        Identifies the rows: their keys, labels and features, and the cutoff.
    training_key
        Identifies the training: the rows, the settings, the seed and the code.
    """

    contract: FeatureContract
    data: LabelledRows
    period: splits.TestPeriod
    split: splits.Split
    gold_fingerprint: str
    training_set_id: str
    training_key: str


def make_plan(settings: Settings, warehouse: Warehouse) -> Plan:
    """Plan the training of what the warehouse holds now.

    Raises
    ------
    DataError
        If the data cannot carry a training: no rows, no label yet, one class only ...
    ContractError
        If gold does not fit the feature contract.
    """
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
        training_set_id,
        json.dumps(settings.train.to_dict(), sort_keys=True, default=str),
        str(settings.seed),
        code_hash(),
    )
    return Plan(contract, data, period, split, gold_fingerprint, training_set_id, training_key)


def code_hash() -> str:
    """Return a sha256 over the code and the libraries that a model depends on."""
    total = hashlib.sha256()
    for name in _CODE:
        source = importlib.import_module(f"ml.{name}").__file__
        total.update(Path(str(source)).read_bytes())
    for name in _LIBRARIES:
        total.update(f"{name} {library_version(name)}\n".encode())
    return total.hexdigest()
