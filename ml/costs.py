"""What a call costs and may save, from the seed `retention_costs`."""

from decimal import Decimal

from ml.contract import read_manifest
from ml.errors import DataError
from ml.settings import Settings
from ml.thresholds import TierCosts
from ml.warehouse import Warehouse

SEED = "retention_costs"


def read_costs(settings: Settings, warehouse: Warehouse) -> dict[str, TierCosts]:
    """Return the costs of each value tier.

    The manifest says which relation holds them: a project's own seed of this name lies elsewhere.

    Raises
    ------
    DataError
        If there is no such seed, or a value in it is not one that costs can have.
    ContractError
        If the seed was not built.
    """
    relation = _relation(settings)
    # It checks that the name is a plain one, and that the relation is there.
    warehouse.columns(relation)
    rows = warehouse.query(
        "select value_tier, contact_cost, save_rate, value_months "
        f"from {relation} order by value_tier"
    ).to_pylist()
    rows = [
        {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in rows
    ]
    for row in rows:
        known = [value for name, value in row.items() if name != "value_tier" and value is not None]
        if len(known) < 3 or min(known) < 0 or row["save_rate"] > 1:
            raise DataError(
                "Expected amounts of at least 0 and a save_rate of 0 to 1 in the seed "
                f"{SEED}, found {row}. Mend the seed and build it: `dbt seed`."
            )
    return {
        str(row["value_tier"]): TierCosts(
            row["contact_cost"], row["save_rate"], row["value_months"]
        )
        for row in rows
    }


def _relation(settings: Settings) -> str:
    for node in read_manifest(settings.manifest_path)["nodes"].values():
        if node["resource_type"] == "seed" and node["name"] == SEED:
            return f"{node['schema']}.{node.get('alias') or SEED}"
    raise DataError(
        f"Expected a seed {SEED} in {settings.manifest_path}, found none. Bring one with the "
        "columns value_tier, contact_cost, save_rate, value_months, or enable Holdfast's own."
    )
