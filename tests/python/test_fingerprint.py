"""One fingerprint, however the same rows are built; and another one for other rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml.audit.content import content_of
from ml.audit.fingerprint import CONFIGURATIONS, Configuration, fingerprint, one_file
from ml.audit.schedules import Rows
from ml.dbt import run_dbt
from ml.errors import UsageError
from ml.settings import Settings
from ml.warehouse import open_warehouse


def test_thirteen_ways_to_build_give_one_fingerprint(demo_copy: Settings) -> None:
    assert {configuration.threads for configuration in CONFIGURATIONS} == {1, 2, 8}
    result = fingerprint(demo_copy, customers=200)
    assert result.is_green, result.to_dict()
    assert len(result.configurations) == len(CONFIGURATIONS) >= 10
    assert result.rows > 10_000
    short = [each for each in result.configurations if each.memory_megabytes is not None]
    assert len(short) == 2
    # With so little memory the engine did have to spill.
    assert sum(each.spilled_bytes or 0 for each in short) > 0


def test_one_row_less_is_another_fingerprint(demo_copy: Settings) -> None:
    def one_row_less(rows: Rows, raw: Path) -> None:
        one_file({**rows, "touches": rows["touches"].slice(1)}, raw)

    ways = (Configuration("all", 2, one_file), Configuration("one less", 2, one_row_less))
    result = fingerprint(demo_copy, customers=10, configurations=ways)
    assert not result.is_green
    same, other = result.configurations
    assert same.is_equal
    assert "silver.intake" in other.different_tables


def test_the_largest_models_are_built_in_parts_of_customers(demo_copy: Settings) -> None:
    before = content_of(demo_copy)
    in_parts = replace(demo_copy, vars=demo_copy.vars | {"customer_parts": 3})
    models = ["gold_activity_windows", "gold_customer_360"]
    words = ["build", "--resource-type", "model", "--select", *models]
    result = run_dbt(in_parts, [*words, "--full-refresh"])
    told = [f"gold.{name.removeprefix('gold_')}: built in 3 parts of customers" for name in models]
    assert [note for note in result.notes if "parts" in note] == told
    assert content_of(demo_copy) == before
    # The dates that are missing, in parts as well.
    with open_warehouse(demo_copy) as warehouse:
        for model in models:
            name = model.replace("gold_", "gold.")
            warehouse.execute(f"delete from {name} where as_of_date > date '2024-01-01'")
    assert content_of(demo_copy) != before
    result = run_dbt(in_parts, words)
    assert [note for note in result.notes if "parts" in note] == told
    assert content_of(demo_copy) == before


def test_no_customers_are_refused(demo_copy: Settings) -> None:
    with pytest.raises(UsageError, match="--customers wants at least 1, not 0"):
        fingerprint(demo_copy, customers=0)
