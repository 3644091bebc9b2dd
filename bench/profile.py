"""Where the time of Holdfast's SQL goes: DuckDB's own account, by operator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from bench.inputs import MODEL
from bench.places import Places

_NAMED = ("Conditions", "Groups", "CTE Name")
_KEPT = 14


def profile(places: Places) -> dict[str, Any]:
    """Run the model once with profiling on and return the operators that took longest."""
    inputs = places.inputs
    target = places.folder / "profile.json"
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        connection.execute("attach ':memory:' as warehouse")
        for relation, name in (
            ("silver.daily_activity", "activity"),
            ("gold.observations", "observations"),
            ("gold.as_of_dates", "as_of_dates"),
        ):
            connection.execute(f"create schema if not exists warehouse.{relation.split('.')[0]}")
            connection.execute(
                f"create view warehouse.{relation} as "
                f"select * from read_parquet('{inputs / name}.parquet')"
            )
        model = (inputs / f"{MODEL}.sql").read_text()
        connection.execute("pragma enable_profiling = 'json'")
        connection.execute(f"set profiling_output = '{target}'")
        connection.execute(f"create temp table made as {model}")
        connection.execute("pragma disable_profiling")
    operators = sorted(shares(json.loads(target.read_text())), key=lambda one: -one["share"])
    target.unlink()
    return {"operators": operators[:_KEPT]}


def shares(account: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each operator of an account with its share of the time of all."""
    found = list(_walk(account["operator"]))
    total = sum(one["timing"] for one in found) or 1.0
    for one in found:
        details = one.get("extra_info", {})
        words = "; ".join(str(details[name]) for name in _NAMED if name in details)
        yield {
            "operator": one["type"],
            "on": words,
            "rows": one["intermediate_rows"],
            "share": one["timing"] / total,
        }


def _walk(operators: list[Any]) -> Iterator[Mapping[str, Any]]:
    for one in operators:
        yield one
        yield from _walk(one.get("children", []))
