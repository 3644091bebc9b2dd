"""One fingerprint, however the same rows are built; and another one for other rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.audit.fingerprint import CONFIGURATIONS, Configuration, fingerprint, one_file
from ml.audit.schedules import Rows
from ml.errors import UsageError
from ml.settings import Settings


def test_twelve_ways_to_build_give_one_fingerprint(demo_copy: Settings) -> None:
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


def test_no_customers_are_refused(demo_copy: Settings) -> None:
    with pytest.raises(UsageError, match="--customers wants at least 1, not 0"):
        fingerprint(demo_copy, customers=0)
