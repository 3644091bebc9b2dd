"""The demo company: the contract's columns, both clocks, its dirt, a truth worth learning."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from ml.errors import UsageError
from ml.gold_contract import GENERATED, render
from ml.simulate import SimulationSummary, simulate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    out = tmp_path_factory.mktemp("company") / "raw"
    return out, simulate(customers=1500, months=18, seed=3, out=out)


def contract() -> dict[str, dict[str, dict[str, object]]]:
    models = yaml.safe_load((ROOT / "models/bronze/_bronze.yml").read_text())["models"]
    return {
        model["name"].removeprefix("bronze_"): {
            column["name"]: column.get("config", {}).get("meta", {})
            for column in model["columns"]
            if column["name"] != "built_from"
        }
        for model in models
        if "nature" in model.get("config", {}).get("meta", {})
    }


def test_each_file_has_the_columns_of_the_contract(company: tuple[Path, SimulationSummary]) -> None:
    for entity, columns in contract().items():
        names = pq.read_schema(company[0] / f"{entity}.parquet").names
        assert sorted(names) == sorted(columns)


def test_the_same_seed_makes_the_same_company(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(customers=200, months=6, seed=11, out=tmp_path / name / "raw")
    simulate(customers=200, months=6, seed=12, out=tmp_path / "other" / "raw")
    for entity in contract():
        tables = {
            name: pq.read_table(tmp_path / name / "raw" / f"{entity}.parquet")
            for name in ("one", "two", "other")
        }
        assert tables["one"].equals(tables["two"])
    assert not tables["one"].equals(tables["other"])


def test_the_truth_lies_beside_and_is_neither_trivial_nor_hopeless(
    company: tuple[Path, SimulationSummary],
) -> None:
    out, summary = company
    assert {path.stem for path in out.iterdir()} == set(contract())
    assert 0.82 <= summary.truth_auc <= 0.92
    truth = pd.read_parquet(out.parent / "truth" / "monthly_churn.parquet")
    assert truth["churn_probability_horizon"].between(0, 1).all()
    assert not truth.duplicated(["customer_id", "as_of_date"]).any()


def test_about_a_fifth_of_churn_is_a_payment_that_failed(
    company: tuple[Path, SimulationSummary],
) -> None:
    summary = company[1]
    churned = summary.churned_voluntary + summary.churned_involuntary
    assert 0.14 < summary.churned_involuntary / churned < 0.28


def test_the_newest_leave_most_and_the_oldest_least(
    company: tuple[Path, SimulationSummary],
) -> None:
    truth = pd.read_parquet(company[0].parent / "truth" / "monthly_churn.parquet")
    known = pd.read_parquet(company[0] / "customers.parquet").dropna(subset=["customer_id"])
    signed_up = known.groupby("customer_id")["signed_up_at"].min().dt.normalize()
    tenure = pd.to_datetime(truth["as_of_date"]) - truth["customer_id"].map(signed_up)
    cohort = pd.cut(tenure.dt.days, [-1, 30, 180, 10_000], labels=["new", "established", "mature"])
    chance = truth.groupby(cohort, observed=True)["churn_probability_30d"].mean()
    assert chance["new"] > chance["established"] > chance["mature"] > 0


def test_those_who_decay_fall_silent_and_some_leave_out_of_health(
    company: tuple[Path, SimulationSummary],
) -> None:
    truth = pd.read_parquet(company[0].parent / "truth" / "monthly_churn.parquet")
    facts = pd.read_parquet(company[0] / "activity.parquet", columns=["customer_id", "occurred_at"])
    facts["day"] = facts["occurred_at"].dt.normalize()
    days = facts.dropna().drop_duplicates(["customer_id", "day"])
    as_of_date = pd.Timestamp("2025-03-01")
    recent = days[days["day"].between(as_of_date - pd.Timedelta(days=14), as_of_date, "left")]
    now = truth[pd.to_datetime(truth["as_of_date"]) == as_of_date]
    active = now["customer_id"].map(recent.groupby("customer_id").size()).fillna(0)
    by_state = active.groupby(now["hidden_state"]).median()
    assert by_state["decaying"] < by_state["dormant"] < by_state["healthy"]
    assert by_state["decaying"] < 0.25 * by_state["healthy"]
    # Of all churn to come, a good part is that of customers who are still content.
    to_come = truth.groupby("hidden_state")["churn_probability_horizon"].sum()
    assert 0.2 < to_come["healthy"] / to_come.sum() < 0.7


def test_about_three_in_a_hundred_facts_come_a_day_or_more_late(
    company: tuple[Path, SimulationSummary],
) -> None:
    facts = pd.read_parquet(company[0] / "activity.parquet").dropna(subset=["activity_id"])
    late = (facts["known_at"].dt.normalize() - facts["occurred_at"].dt.normalize()).dt.days
    assert 0.02 < (late >= 1).mean() < 0.04
    assert late.max() <= 46


def test_few_rows_break_the_contract_and_few_come_twice(
    company: tuple[Path, SimulationSummary],
) -> None:
    facts = pd.read_parquet(company[0] / "activity.parquet")
    broken = (
        facts["activity_id"].isna()
        | facts["customer_id"].isna()
        | (facts["quantity"] < 1)
        | (facts["occurred_at"] > facts["known_at"])
    )
    assert 0.0005 < broken.mean() < 0.004
    assert 0.002 < facts.duplicated().mean() < 0.008


def test_nothing_is_known_at_or_after_the_end(company: tuple[Path, SimulationSummary]) -> None:
    for entity in contract():
        known = pq.read_table(company[0] / f"{entity}.parquet", columns=["known_at"]).to_pandas()
        assert known["known_at"].max() < pd.Timestamp("2025-07-01")


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"months": 0}])
def test_a_company_of_nobody_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    sizes = {"customers": 10, "months": 2} | wrong
    with pytest.raises(UsageError):
        simulate(**sizes, seed=1, out=tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_the_contract_of_the_wide_mart_is_that_of_the_families() -> None:
    folder = ROOT / "models" / "gold"
    assert (folder / GENERATED).read_text() == render(folder)


def test_a_company_so_small_that_an_entity_is_empty_is_made(tmp_path: Path) -> None:
    simulate(customers=1, months=1, seed=1, out=tmp_path / "raw")
    assert {path.stem for path in (tmp_path / "raw").iterdir()} == set(contract())
