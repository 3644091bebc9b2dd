"""Raw rows for audits: those of some customers of the standing warehouse, with dirt added."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.settings import Settings
from ml.warehouse import open_warehouse

# Shares of each entity's rows that come again in some way; several times what real data has, so
# that few customers have them all.
REPEATED, CORRECTED, CONFLICTING, BACK_DATED, BROKEN = 0.04, 0.04, 0.02, 0.02, 0.02


@dataclass(frozen=True)
class EntityContract:
    """What an audit needs of one entity's input contract.

    Attributes
    ----------
    columns
        Every column, in order.
    key
        The columns that name a record; a version's `known_at` is not among them.
    is_version
        Whether a record may come again with a later `known_at`.
    changeable
        Columns that a correction may change: texts and numbers that are no key and no time.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    is_version: bool
    changeable: tuple[str, ...]


def entity_contracts(manifest: Mapping[str, Any]) -> dict[str, EntityContract]:
    """Return the input contract of every entity, from dbt's manifest."""
    contracts: dict[str, EntityContract] = {}
    for node in manifest["nodes"].values():
        nature = (node.get("config", {}).get("meta") or {}).get("nature")
        name = str(node.get("name", ""))
        if node.get("resource_type") != "model" or not nature or not name.startswith("bronze_"):
            continue
        metas = {
            column["name"]: (column.get("config") or {}).get("meta") or column.get("meta") or {}
            for column in node["columns"].values()
        }
        types = {column["name"]: column["data_type"] for column in node["columns"].values()}
        columns = [column for column in metas if column != "built_from"]
        key = [column for column in columns if metas[column].get("is_key")]
        contracts[name.removeprefix("bronze_")] = EntityContract(
            columns=tuple(columns),
            key=tuple(key),
            is_version=nature == "version",
            changeable=tuple(
                column
                for column in columns
                if column not in (*key, "customer_id", "known_at")
                and types[column] in ("string", "integer")
                and not column.endswith("_id")
            ),
        )
    return contracts


def sample_rows(
    settings: Settings,
    contracts: Mapping[str, EntityContract],
    *,
    customers: int | None,
    seed: int,
) -> dict[str, pa.Table]:
    """Return the valid raw rows of some customers, by entity, as bronze holds them.

    Parameters
    ----------
    customers
        How many, drawn at random; None takes all.
    seed
        Another seed draws other customers.

    Raises
    ------
    DataError
        Where bronze holds no customers.
    """
    with open_warehouse(settings, read_only=True) as warehouse:
        known = sorted(
            warehouse.query("select distinct customer_id from bronze.customers")[
                "customer_id"
            ].to_pylist()
        )
        if not known:
            raise DataError(
                "Expected customers in bronze, found none. Build it first: `holdfast run` (or "
                "`dbt build`)."
            )
        chosen = known
        if customers is not None:
            chosen = sorted(random.Random(seed).sample(known, min(customers, len(known))))
        rows: dict[str, pa.Table] = {}
        for entity, contract in contracts.items():
            columns = ", ".join(f'"{column}"' for column in contract.columns)
            found = warehouse.query(
                f"select {columns} from bronze.{entity} "
                f"where {warehouse.is_one_of('customer_id', '$1')}",
                [chosen],
            )
            rows[entity] = found.sort_by([(column, "ascending") for column in contract.columns])
    return rows


def soiled(
    rows: Mapping[str, pa.Table], contracts: Mapping[str, EntityContract], seed: int
) -> dict[str, pa.Table]:
    """Return the rows with repeats, corrections, conflicts, back-dated and broken ones added."""
    chance = random.Random(seed)
    return {
        entity: pa.concat_tables([table, _dirt(table, contracts[entity], chance)])
        for entity, table in rows.items()
    }


def _dirt(table: pa.Table, contract: EntityContract, chance: random.Random) -> pa.Table:
    picked: list[dict[str, Any]] = []

    def some(share: float) -> list[dict[str, Any]]:
        count = max(1, round(share * table.num_rows)) if table.num_rows else 0
        taken = sorted(chance.sample(range(table.num_rows), count))
        return list(table.take(pa.array(taken, pa.int64())).to_pylist())

    def other_value(row: dict[str, Any]) -> dict[str, Any]:
        if not contract.changeable:
            return row
        column = chance.choice(contract.changeable)
        place = chance.randrange(table.num_rows)
        return {**row, column: table[column][place].as_py()}

    picked += some(REPEATED)
    # A record that comes again with other values is a new version where the entity has versions,
    # and a conflict where it has none.
    for row in some(CORRECTED):
        later = row["known_at"] + timedelta(minutes=chance.randrange(1, 60 * 24 * 40))
        picked.append({**other_value(row), "known_at": later})
    picked += [other_value(row) for row in some(CONFLICTING)]
    for row in some(BACK_DATED):
        new_key = {
            column: f"back-{row[column]}" for column in contract.key if column != "customer_id"
        }
        picked.append({**row, **new_key})
        earlier = row["known_at"] - timedelta(minutes=chance.randrange(1, 60 * 24 * 20))
        picked.append({**row, "known_at": earlier})
    picked += [{**row, "customer_id": None} for row in some(BROKEN)]
    return pa.Table.from_pylist(picked, schema=table.schema)


def write_rows(table: pa.Table, path: Path, places: Sequence[int] | None = None) -> None:
    """Write rows, or those at some places, as one Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if places is None else table.take(pa.array(places, pa.int64())), path)
