"""What an experiment of the settings is: its features, its weights, its models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ml.contract import FeatureContract
from ml.errors import UsageError
from ml.settings import TrainSettings
from ml.training_set import SEGMENTS
from ml.weights import By, Weighting

_LISTS = ("tiers", "families", "features", "without_families", "without_features")
_KEYS = (*_LISTS, "model_by", "sample_weight", "sample_weight_power", "class_balance")

ALL = "all"


@dataclass(frozen=True)
class Experiment:
    """One way to learn.

    Attributes
    ----------
    types
        Feature to type: what it is given.
    weighting
        How much each row counts.
    model_by
        A segment that has a model of its own for each of its values; None: one model for all.
    """

    types: Mapping[str, str]
    weighting: Weighting
    model_by: str | None = None


def experiment_of(
    name: str, values: Mapping[str, Any], contract: FeatureContract, options: TrainSettings
) -> Experiment:
    """Return an experiment of the settings.

    Parameters
    ----------
    values
        What `features_of` reads, and any of `model_by` (a segment), `sample_weight`,
        `sample_weight_power` and `class_balance` (as in `train`).

    Raises
    ------
    UsageError
        If it asks for what is not there.
    """
    types = features_of(name, values, contract)
    model_by = values.get("model_by")
    by = values.get("sample_weight", options.sample_weight)
    power = values.get("sample_weight_power", options.sample_weight_power)
    if model_by is not None and model_by not in SEGMENTS:
        raise UsageError(
            f"The experiment '{name}' wants a model for each {model_by!r}; there are segments by "
            f"{', '.join(SEGMENTS)}."
        )
    if by not in get_args(By) or not _is_power(power):
        raise UsageError(
            f"The experiment '{name}' wants rows to count by {by!r} to the power {power!r}; "
            f"expected {' or '.join(get_args(By))}, and a power from 0 to 1."
        )
    balance = values.get("class_balance", options.class_balance)
    if not _is_power(balance):
        raise UsageError(
            f"The experiment '{name}' wants a class_balance of {balance!r}; expected 0 to 1."
        )
    return Experiment(types, Weighting(by, float(power), float(balance)), model_by)


def _is_power(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def features_of(
    name: str, experiment: Mapping[str, Any], contract: FeatureContract
) -> dict[str, str]:
    """Return feature to type, in the contract's order.

    Parameters
    ----------
    experiment
        Any of `tiers`, `families`, `features` (what is in; everything, where none is named) and
        `without_families`, `without_features` (what is left out of that).

    Raises
    ------
    UsageError
        If it names a key, tier, family or feature that is not there, or nothing is left.
    """
    unknown = [key for key in experiment if key not in _KEYS]
    if unknown:
        raise UsageError(
            f"The experiment '{name}' has a key that Holdfast does not know: {unknown[0]}. Known "
            f"here: {', '.join(_KEYS)}."
        )
    known: dict[str, set[Any]] = {
        "tiers": {feature.tier for feature in contract.features},
        "families": {feature.family for feature in contract.features},
        "features": set(contract.names),
    }
    asked = {key: _listed(name, key, experiment.get(key, ())) for key in _LISTS}
    for key, values in asked.items():
        kind = key.removeprefix("without_")
        for value in values:
            if value not in known[kind]:
                there = ", ".join(sorted(str(each) for each in known[kind] if each is not None))
                raise UsageError(
                    f"The experiment '{name}' asks for {kind} {value!r}, which the feature "
                    f"contract does not have. It has: {there}. Mend `experiments` in the settings."
                )
    is_everything = not (asked["tiers"] or asked["families"] or asked["features"])
    chosen = {
        feature.name: feature.data_type
        for feature in contract.features
        if is_everything
        or feature.tier in asked["tiers"]
        or feature.family in asked["families"]
        or feature.name in asked["features"]
        if feature.family not in asked["without_families"]
        and feature.name not in asked["without_features"]
    }
    if not chosen:
        raise UsageError(f"The experiment '{name}' leaves no feature to learn from.")
    return chosen


def _listed(name: str, key: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, list | tuple):
        return tuple(values)
    raise UsageError(f"The experiment '{name}' wants a list for {key}, found {values!r}.")
