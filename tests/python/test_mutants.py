"""The zoo of leaks fits the code as it stands, and what guards against them notices them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import ROOT, settings_in

from ml.audit.mutants import mutants
from ml.audit.zoo import read_zoo
from ml.errors import HoldfastError, UsageError

ZOO = read_zoo(ROOT)


@pytest.mark.parametrize("mutant", ZOO, ids=lambda mutant: mutant.name)
def test_a_patch_fits_its_file(mutant, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / mutant.file
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / mutant.file, path)
    mutant.apply(tmp_path)
    assert path.read_text() != (ROOT / mutant.file).read_text()
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / file).read_text()
    # Where the text is no more, that is said and nothing is changed.
    path.write_text("")
    with pytest.raises(HoldfastError, match=f"{mutant.name} wants to replace a text"):
        mutant.apply(tmp_path)


def test_the_zoo_is_large_enough() -> None:
    assert len({mutant.name for mutant in ZOO}) == len(ZOO)
    assert sum(mutant.is_leak for mutant in ZOO) >= 30
    assert sum(not mutant.is_leak for mutant in ZOO) >= 10


def test_leaks_are_noticed_and_harmless_rewrites_are_not(tmp_path: Path) -> None:
    names = ["contract_as_it_is_now", "split_by_date_alone", "another_name_for_a_cte"]
    result = mutants(settings_in(tmp_path), names=names)
    assert result.is_green, result.to_dict()
    leaks = {trial.name: trial for trial in result.leaks}
    assert leaks["contract_as_it_is_now"].alarms[0].killer == "unit tests"
    assert "test_splits.py" in leaks["split_by_date_alone"].alarms[0].what
    (harmless,) = result.harmless
    assert harmless.ran[-2:] == ("replay", "same gold")


def test_a_mutant_that_is_not_in_the_zoo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The zoo has no unicorn"):
        mutants(settings_in(tmp_path), names=["unicorn"])
