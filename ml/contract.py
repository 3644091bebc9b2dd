"""The feature contract: what a feature is, read from the dbt manifest.

There is no second list of features in Python. A column of a `gold_features_<family>` model is a
feature when its `meta` names a family.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ml.errors import ContractError, DataError

FEATURE_MODEL_PREFIX = "gold_features_"

Kind = Literal["number", "boolean", "category"]

# The spellings of one type by DuckDB, PostgreSQL and Spark; anything else keeps its own name.
_TYPE_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "long": "bigint",
    "int2": "smallint",
    "short": "smallint",
    "numeric": "decimal",
    "bool": "boolean",
    "string": "varchar",
    "text": "varchar",
    "character varying": "varchar",
    "double precision": "double",
    "float8": "double",
}
_NUMBERS = {"integer", "bigint", "smallint", "decimal", "double", "hugeint"}


@dataclass(frozen=True)
class Feature:
    """One feature and the contract its YAML gives it."""

    name: str
    data_type: str
    family: str
    tier: int | None = None
    leakage_risk: str | None = None
    unit: str | None = None
    phrase: str | None = None
    null_means: str | None = None
    reach_days: int | None = None
    description: str = ""

    @property
    def kind(self) -> Kind:
        """How Python handles the column: a number, a boolean or a category."""
        return kind_of(self.name, self.data_type)


@dataclass(frozen=True)
class FeatureContract:
    """Every feature, in the order of family and then of the family's YAML."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def types(self) -> dict[str, str]:
        """Return name to type, in order."""
        return {feature.name: feature.data_type for feature in self.features}

    @cached_property
    def features_hash(self) -> str:
        """Return the sha256 over names and types, in order."""
        return features_hash(self.types)

    def of(self, types: Mapping[str, str]) -> dict[str, Feature]:
        """Return the features of these types by name, bare where the contract has none such."""
        known = {feature.name: feature for feature in self.features}
        return {
            name: known.get(name, Feature(name, normal_type(data_type), family="unknown"))
            for name, data_type in types.items()
        }


def normal_type(data_type: str) -> str:
    """Return one spelling for a type that engines spell differently.

    Examples
    --------
    >>> normal_type("NUMERIC(18, 6)"), normal_type("character varying(20)"), normal_type("INT")
    ('decimal(18,6)', 'varchar', 'integer')
    """
    text = re.sub(r"\s+", " ", data_type.strip().lower())
    base, _, arguments = text.partition("(")
    base = base.strip()
    name = _TYPE_ALIASES.get(base, base)
    if name != "decimal" or not arguments:
        return name
    return f"{name}({arguments.rstrip(')').replace(' ', '')})"


def kind_of(name: str, data_type: str) -> Kind:
    """Return how a column of this type enters a model.

    Raises
    ------
    ContractError
        If the type is none that gold may hold (a date, a timestamp, a list ...).
    """
    base = normal_type(data_type).partition("(")[0]
    if base in _NUMBERS:
        return "number"
    if base == "boolean":
        return "boolean"
    if base == "varchar":
        return "category"
    raise ContractError(
        f"Feature '{name}' has the type '{data_type}', which no model can read. "
        "Expected an integer, decimal, boolean or varchar; change its type in the gold model "
        "and its YAML."
    )


def features_hash(types: Mapping[str, str]) -> str:
    """Return the sha256 over the names and types, in the order given."""
    lines = "\n".join(f"{name} {normal_type(data_type)}" for name, data_type in types.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def load_contract(manifest_path: Path) -> FeatureContract:
    """Read the feature contract from the manifest that dbt writes.

    Raises
    ------
    DataError
        If the manifest is absent or is no manifest.
    ContractError
        If no feature is declared, one is declared twice, or one has no usable type.
    """
    return parse_contract(read_manifest(manifest_path), source=str(manifest_path))


def parse_contract(manifest: Mapping[str, Any], *, source: str = "manifest") -> FeatureContract:
    """Return the feature contract of a manifest already read; `source` names it in errors."""
    nodes = sorted(
        (
            node
            for node in manifest["nodes"].values()
            if node.get("resource_type", "model") == "model"
            and str(node.get("name", "")).startswith(FEATURE_MODEL_PREFIX)
        ),
        key=lambda node: str(node["name"]),
    )
    features: dict[str, Feature] = {}
    for node in nodes:
        for column in node.get("columns", {}).values():
            meta = _meta_of(column)
            if "family" not in meta:
                continue
            feature = _feature(column, meta, model=str(node["name"]))
            if feature.name in features:
                raise ContractError(
                    f"Feature '{feature.name}' is declared by family "
                    f"'{features[feature.name].family}' and again by '{feature.family}'. "
                    "Names are unique over all families: rename one of them."
                )
            features[feature.name] = feature
    if not features:
        raise ContractError(
            f"No feature is declared in {source}: expected columns with `meta.family` in models "
            f"named '{FEATURE_MODEL_PREFIX}...'. Run `dbt parse` on the project, then try again."
        )
    return FeatureContract(tuple(features.values()))


def type_differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return one sentence for every expected column that is missing or of another type.

    Columns that are found but not expected are no difference: keys and labels stand beside
    features, and a model may use fewer features than the warehouse has.
    """
    differences = []
    for name, data_type in expected.items():
        if name not in found:
            differences.append(f"'{name}' ({normal_type(data_type)}) is missing")
        elif normal_type(found[name]) != normal_type(data_type):
            differences.append(
                f"'{name}' should be {normal_type(data_type)} and is {normal_type(found[name])}"
            )
    return differences


def require_types(
    expected: Mapping[str, str], found: Mapping[str, str], *, what: str, remedy: str
) -> None:
    """Raise unless every expected column is found with its type.

    Parameters
    ----------
    expected, found
        Name to type.
    what
        The relation that was compared, for the message.
    remedy
        What to do next, for the message.

    Raises
    ------
    ContractError
        Naming every column that is missing or changed.
    """
    differences = type_differences(expected, found)
    if differences:
        raise ContractError(f"{what} does not fit: {listed(differences)}. {remedy}")


def listed(items: Sequence[str] | Iterable[str], *, most: int = 20) -> str:
    """Join items for a message, saying how many were left out when there are too many."""
    items = list(items)
    shown = "; ".join(items[:most])
    return shown if len(items) <= most else f"{shown}; and {len(items) - most} more"


def read_manifest(manifest_path: Path) -> Mapping[str, Any]:
    """Return the manifest that dbt writes.

    Raises
    ------
    DataError
        If it is absent or is no manifest.
    """
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"Expected dbt's manifest at {manifest_path}, found no file. "
            "Run `dbt build` (or `holdfast run`) in the project first."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"Expected dbt's manifest at {manifest_path}, could not read it: {error}. "
            "Run `dbt parse` to write it again."
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("nodes"), dict):
        raise DataError(
            f"Expected dbt's manifest at {manifest_path}, found JSON without 'nodes'. "
            "Run `dbt parse` to write it again."
        )
    return manifest


def _meta_of(column: Mapping[str, Any]) -> Mapping[str, Any]:
    # dbt keeps meta under `config` and mirrors it beside the column; either may be empty.
    return {**(column.get("meta") or {}), **((column.get("config") or {}).get("meta") or {})}


def _feature(column: Mapping[str, Any], meta: Mapping[str, Any], *, model: str) -> Feature:
    name = str(column["name"])
    data_type = column.get("data_type")
    if not data_type:
        raise ContractError(
            f"Feature '{name}' of {model} has no data_type in its YAML; give it one."
        )
    kind_of(name, str(data_type))
    return Feature(
        name=name,
        data_type=normal_type(str(data_type)),
        family=str(meta["family"]),
        tier=_whole(meta.get("tier")),
        leakage_risk=_text(meta.get("leakage_risk")),
        unit=_text(meta.get("unit")),
        phrase=_text(meta.get("phrase")),
        null_means=_text(meta.get("null_means")),
        reach_days=_whole(meta.get("reach_days")),
        description=str(column.get("description") or "").strip(),
    )


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
