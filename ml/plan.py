"""Plan a training: which rows, parted how, and what identifies the whole of it."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as library_version
from pathlib import Path

import pyarrow as pa

from ml import families, matrix, splits
from ml.contract import FeatureContract, load_contract
from ml.costs import read_costs
from ml.sampling import choose_sample
from ml.settings import Settings
from ml.thresholds import TierCosts
from ml.training_set import (
    History,
    LabelledRows,
    read_history,
    require_features,
    sha256_of,
)
from ml.warehouse import Warehouse

# A change in any of these modules may change a model or its record, so it asks for a new training.
_CODE = (
    "assess",
    "baselines",
    "calibration",
    "choosing.tuning",
    "conformal",
    "contract",
    "estimators",
    "families",
    "families.boosting",
    "families.encode",
    "families.extras",
    "families.linear",
    "families.network",
    "families.protocol",
    "families.trees",
    "fit",
    "frozen.sets",
    "judge",
    "leaderboard",
    "matrix",
    "metrics",
    "plan",
    "policies",
    "resampling",
    "sampling",
    "splits",
    "thresholds",
    "train",
    "train_spark",
    "training_set",
    "truth",
    "validation",
    "weights",
)
_LIBRARIES = ("lightgbm", "numpy", "scikit-learn", "shap")


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes
    ----------
    families
        Those that are tried.
    costs
        What a call costs and may save, by value tier.
    gold_fingerprint
        Of the rows that are used.
    training_set_id
        Identifies all the rows, those that are purged among them.
    training_key
        Identifies the training: the rows that are used, the settings, the seed and the code.
    """

    contract: FeatureContract
    families: tuple[str, ...]
    costs: Mapping[str, TierCosts]
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
    sample = choose_sample(warehouse, settings.train.max_rows)
    history = read_history(warehouse, contract, sample)
    require_features(warehouse, "gold.training_set", contract.types)
    return plan_of(settings, history, read_costs(settings, warehouse))


def plan_of(settings: Settings, history: History, costs: Mapping[str, TierCosts]) -> Plan:
    """Plan the training of labelled rows, wherever they were read from.

    Parameters
    ----------
    costs
        What a call costs and may save, by value tier.

    Raises
    ------
    DataError
        If they cannot carry a training.
    """
    contract, data = history.contract, history.rows
    period = splits.test_period(
        history.dates,
        settings.train.test_dates,
        data_from=history.data_from,
        data_until=history.data_until,
    )
    enough = splits.Enough(settings.train.min_train_rows, settings.train.min_positives)
    split = splits.split_rows(
        data.learnable(),
        period,
        history.dates,
        validation_dates=settings.train.validation_dates,
        calibration_share=settings.train.calibration_share,
        enough=enough,
        seed=settings.seed,
    )
    splits.require_enough(split, data.is_churn, enough=enough, period=period)
    wanted = families.wanted(
        settings.train.families,
        rows=int(split.train.sum()),
        churned=int(data.is_churn[split.train].sum()),
    )
    used = split.train | split.test
    gold_fingerprint = history.gold_fingerprint(data.as_of_date[used])
    training_key = sha256_of(
        contract.features_hash,
        gold_fingerprint,
        matrix.digest(data.keys.filter(pa.array(used))),
        str(period.cutoff),
        json.dumps(settings.train.to_dict(), sort_keys=True, default=str),
        json.dumps(vars(settings.decide), sort_keys=True),
        json.dumps({tier: vars(each) for tier, each in costs.items()}, sort_keys=True),
        str(settings.seed),
        code_hash(),
    )
    return Plan(
        contract=contract,
        families=wanted,
        costs=dict(costs),
        data=data,
        period=period,
        split=split,
        gold_fingerprint=gold_fingerprint,
        training_set_id=history.training_set_id,
        training_key=training_key,
    )


def code_hash() -> str:
    """Return a sha256 over the code and the libraries that a model depends on."""
    total = hashlib.sha256()
    for name in _CODE:
        source = importlib.import_module(f"ml.{name}").__file__
        total.update(Path(str(source)).read_bytes())
    for name in _LIBRARIES:
        total.update(f"{name} {library_version(name)}\n".encode())
    return total.hexdigest()
