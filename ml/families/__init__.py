"""Families of models behind one interface, as scikit-learn pipelines.

Each is built by `build`, fitted by `fit_pipeline`, and offers what `protocol.Classifier` names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ml.errors import UsageError
from ml.families.boosting import build_lightgbm
from ml.families.extras import build_catboost, build_xgboost
from ml.families.linear import build_logistic
from ml.families.network import build_network
from ml.families.protocol import Build
from ml.families.trees import build_forest, build_histogram

LIGHTGBM = "lightgbm"
LOGISTIC = "logistic_regression"
FOREST = "random_forest"
HISTOGRAM = "hist_gradient_boosting"
NETWORK = "neural_network"
XGBOOST = "xgboost"
CATBOOST = "catboost"

AUTO = "auto"


@dataclass(frozen=True)
class Family:
    """A family: how it is built, and what it takes to be tried unasked.

    Attributes
    ----------
    least_churned
        With fewer churners among the training rows it only learns them by heart.
    most_rows
        With more training rows it takes minutes for what others reach in seconds.
    is_extra
        Whether its library is installed as an extra; such a family is tried only when named.
    """

    build: Build
    least_churned: int = 0
    most_rows: int | None = None
    is_extra: bool = False


# In order of preference: the first that is no worse than the best beyond chance is chosen.
_FAMILIES: Mapping[str, Family] = {
    LIGHTGBM: Family(build_lightgbm),
    LOGISTIC: Family(build_logistic),
    HISTOGRAM: Family(build_histogram, least_churned=200),
    FOREST: Family(build_forest, least_churned=200, most_rows=500_000),
    NETWORK: Family(build_network, least_churned=1000, most_rows=1_000_000),
    XGBOOST: Family(build_xgboost, is_extra=True),
    CATBOOST: Family(build_catboost, is_extra=True),
}
FAMILIES = tuple(name for name, family in _FAMILIES.items() if not family.is_extra)
ALL_FAMILIES = tuple(_FAMILIES)


def build(
    family: str, types: Mapping[str, str], params: Mapping[str, Any], rng: np.random.Generator
) -> Pipeline:
    """Return a family's pipeline, not yet fitted; see `protocol.Build`.

    Raises
    ------
    HoldfastError
        If its library is not installed.
    """
    return _FAMILIES[family].build(types, params, rng)


def wanted(families: Sequence[str], *, rows: int, churned: int) -> tuple[str, ...]:
    """Return the families to try.

    Parameters
    ----------
    families
        Names, or `auto` alone: all that need no extra and suit so many training rows.
    rows, churned
        The training rows, and how many of them churned.

    Raises
    ------
    UsageError
        If a name is not known.

    Examples
    --------
    >>> wanted(["auto"], rows=5000, churned=150)
    ('lightgbm', 'logistic_regression')
    """
    unknown = [name for name in families if name not in _FAMILIES and name != AUTO]
    if unknown or not families:
        raise UsageError(
            f"Expected families of models among {', '.join(ALL_FAMILIES)} or `{AUTO}`, found "
            f"{', '.join(unknown) or 'none'}. Change `--families` or `train.families`."
        )
    if AUTO not in families:
        return tuple(dict.fromkeys(families))
    suited = [
        name
        for name in FAMILIES
        if churned >= _FAMILIES[name].least_churned and rows <= (_FAMILIES[name].most_rows or rows)
    ]
    return tuple(dict.fromkeys([*suited, *(name for name in families if name != AUTO)]))
