"""One fingerprint, however the same rows are built; and another one for other rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.audit.content import content_of
from ml.audit.fingerprint import CONFIGURATIONS, Configuration, fingerprint, named, one_file
from ml.audit.schedules import Rows
from ml.audit.yard import Yard
from ml.dbt import run_dbt
from ml.errors import HoldfastError, UsageError
from ml.settings import Settings
from ml.warehouse import open_warehouse


def test_thirteen_ways_to_build_give_one_fingerprint(
    demo_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    build = Yard.build

    def build_and_tell(yard: Yard, vars: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        told.extend(notes := build(yard, vars))
        return notes

    monkeypatch.setattr(Yard, "build", build_and_tell)
    assert {configuration.threads for configuration in CONFIGURATIONS} == {1, 2, 8}
    result = fingerprint(demo_copy, customers=200)
    assert result.is_green, result.to_dict()
    assert len(result.configurations) == len(CONFIGURATIONS) >= 10
    assert result.rows > 10_000
    short = [each for each in result.configurations if each.memory_megabytes is not None]
    assert len(short) == 2
    # With so little memory the engine did have to spill.
    assert sum(each.spilled_bytes or 0 for each in short) > 0
    models = ("gold.activity_windows", "gold.customer_360")
    assert {note for note in told if "parts" in note} == {
        f"{model}: built in 3 parts of customers" for model in models
    }


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
    # What was built part by part is taken as it is, and not made once more.
    for model in models:
        (ran,) = (demo_copy.target_dir / "run").rglob(f"{model}.sql")
        assert "with observations as" not in ran.read_text()
    # The dates that are missing, in parts as well.
    with open_warehouse(demo_copy) as warehouse:
        for model in models:
            name = model.replace("gold_", "gold.")
            warehouse.execute(f"delete from {name} where as_of_date > date '2024-01-01'")
    assert content_of(demo_copy) != before
    result = run_dbt(in_parts, words)
    assert [note for note in result.notes if "parts" in note] == told
    assert content_of(demo_copy) == before


def test_there_are_as_many_parts_as_memory_asks_for(
    demo_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_warehouse(demo_copy) as warehouse:
        warehouse.execute(
            "insert into gold.observations select observations.* replace "
            "(customer_id || '-' || number as customer_id) "
            "from gold.observations, range(29) as numbers(number)"
        )
        count = warehouse.query("select count(*) as n from gold.observations")["n"][0].as_py()
    # Two and a half times what the engine may take are three parts.
    monkeypatch.setenv("HOLDFAST_MEMORY_LIMIT", f"{count * 6000 / 2.5 / 1e6:.1f}MB")
    words = ["run", "--select", "gold_activity_windows", "--full-refresh"]
    told = run_dbt(demo_copy, words).notes
    assert [note for note in told if "parts" in note] == [
        "gold.activity_windows: built in 3 parts of customers"
    ]
    with open_warehouse(demo_copy) as warehouse:
        built = warehouse.query("select count(*) as n from gold.activity_windows")["n"][0].as_py()
    assert built == count


@pytest.mark.parametrize("wanted", [-3, "3"])
def test_a_wrong_number_of_parts_is_refused(demo_copy: Settings, wanted: object) -> None:
    settings = replace(demo_copy, vars=demo_copy.vars | {"customer_parts": wanted})
    with pytest.raises(HoldfastError, match=f"wants a whole number from 1 on.* got '{wanted}'"):
        run_dbt(settings, ["run", "--select", "gold_customer_360", "--full-refresh"])


def test_ways_are_chosen_by_words_in_their_names() -> None:
    assert named([]) == CONFIGURATIONS
    first, *chosen = named(["little memory", "CSV"])
    assert first == CONFIGURATIONS[0]
    assert len(chosen) == 4
    assert all("memory" in each.name or "CSV" in each.name for each in chosen)
    with pytest.raises(UsageError, match="No way to build has 'unicorns' in its name. There are"):
        named(["CSV", "unicorns"])


def test_no_customers_are_refused(demo_copy: Settings) -> None:
    with pytest.raises(UsageError, match="--customers wants at least 1, not 0"):
        fingerprint(demo_copy, customers=0)
