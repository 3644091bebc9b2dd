"""Writes the contract of the wide gold relations from the contracts of the feature families.

dbt wants every column of an enforced contract in YAML. The families hold the one list;
`gold.customer_360` and `gold.training_set` repeat it by `python -m ml.gold_contract`, and a test
fails when the file no longer agrees.
"""

from pathlib import Path
from typing import Any

import yaml

GENERATED = "_customer_360.yml"
FAMILY_PREFIX = "gold_features_"


def _columns_of(models: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return next(model["columns"] for model in models if model["name"] == name)


def _feature_columns(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    families = [model for model in models if model["name"].startswith(FAMILY_PREFIX)]
    return [
        column
        for family in families
        for column in family["columns"]
        if "family" in column.get("config", {}).get("meta", {})
    ]


def _model(name: str, description: str, columns: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "data_tests": [{"unique_key": {"arguments": {"columns": ["customer_id", "as_of_date"]}}}],
        "columns": [
            {key: column[key] for key in ("name", "data_type", "description")} for column in columns
        ],
    }


def render(gold_dir: Path) -> str:
    """Return the YAML text of the wide relations' contract.

    Parameters
    ----------
    gold_dir : Path
        The folder `models/gold` with `_gold.yml` and `_features.yml`.
    """
    gold = yaml.safe_load((gold_dir / "_gold.yml").read_text(encoding="utf-8"))["models"]
    families = yaml.safe_load((gold_dir / "_features.yml").read_text(encoding="utf-8"))["models"]
    observations = {column["name"]: column for column in _columns_of(gold, "gold_observations")}
    labels = {column["name"]: column for column in _columns_of(gold, "gold_churn_labels")}
    features = _feature_columns(families)
    head = [
        observations[name]
        for name in (
            "customer_id",
            "as_of_date",
            "cohort",
            "observation_days",
            "horizon_days",
            "value_tier",
            "monthly_revenue",
            "sample_weight",
        )
    ]
    outcome = [
        labels[name]
        for name in ("is_churn", "churned_at", "days_to_churn", "churn_type", "label_known_at")
    ]
    document = {
        "models": [
            _model(
                "gold_customer_360",
                "One observation with every feature. The mart that models are trained and scored "
                "on; it never contains a label.",
                [*head, *features, observations["built_from"]],
            ),
            _model(
                "gold_training_set",
                "One observation on the grid whose label is known, with every feature and its "
                "label. What models are trained and judged on.",
                [*head, *features, *outcome],
            ),
        ]
    }
    header = (
        "# Written by `python -m ml.gold_contract` from _gold.yml and _features.yml; "
        "edit those.\n\n"
    )
    return header + yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True)


def main() -> None:
    """Write the file into this checkout's `models/gold`."""
    gold_dir = Path(__file__).resolve().parent.parent / "models" / "gold"
    (gold_dir / GENERATED).write_text(render(gold_dir), encoding="utf-8")


if __name__ == "__main__":
    main()
