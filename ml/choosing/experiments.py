"""Which features an experiment is given."""

from collections.abc import Mapping
from typing import Any

from ml.contract import FeatureContract
from ml.errors import UsageError

_KEYS = ("tiers", "families", "features", "without_families", "without_features")

ALL = "all"


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
    asked = {key: _listed(name, key, experiment.get(key, ())) for key in _KEYS}
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
