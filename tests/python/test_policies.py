import json
import pickle
from datetime import datetime

import numpy as np
import pytest
from model_fixtures import REPOSITORY, Company, manifest, ml_tables

from ml import policies, records
from ml.costs import read_costs
from ml.errors import ContractError, DataError, HoldfastError
from ml.metrics import Outcomes
from ml.policies import Policies
from ml.registry import RegisteredVersion
from ml.settings import load_settings
from ml.thresholds import POLICIES, TierCosts
from ml.warehouse import DuckDBWarehouse


def project(folder):
    """A project whose warehouse holds the costs and the tables of ml, and nothing else."""
    (folder / "target").mkdir()
    (folder / "local").mkdir()
    (folder / "dbt_project.yml").write_text("name: company\nprofile: company\n")
    (folder / "target" / "manifest.json").write_text(json.dumps(manifest()))
    company = Company(load_settings(folder))
    seed = REPOSITORY / "seeds" / "retention_costs.csv"
    company.sql(
        "create schema bronze",
        "create schema ml",
        f"create table bronze.retention_costs as from read_csv('{seed}')",
        *ml_tables(),
        "select 1",
    )
    return company


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return project(tmp_path_factory.mktemp("company"))


def decided(company, *, churn=True, samples=30):
    rng = np.random.default_rng(2)
    customer = np.arange(1500) // 2
    target = (rng.random(750) < 0.2).astype(float)[customer] * churn
    probability = np.clip(0.2 * target + rng.beta(2, 8, 1500), 0, 1)
    tier = rng.choice(["smb", "mid_market", "enterprise"], 1500)
    with DuckDBWarehouse.open(company.settings.warehouse_path, read_only=True) as warehouse:
        costs = read_costs(company.settings, warehouse)
    found = policies.decide(
        Outcomes(target, np.full(1500, np.nan), rng.lognormal(6, 1, 1500), customer),
        probability,
        tier,
        costs,
        options=company.settings.decide,
        share=0.1,
        samples=samples,
        rng=rng,
    )
    return found, probability


def test_every_policy_has_a_threshold_and_the_chosen_one_alerts(company):
    found, probability = decided(company)
    assert [each.policy for each in found.thresholds] == list(POLICIES)
    assert found.threshold.policy == company.settings.decide.policy == "capacity"
    assert found.alerts(probability).sum() == 150
    assert found.bound.threshold is not None
    for each in found.thresholds:
        for estimate in vars(each.reached).values():
            assert estimate.lower <= estimate.value <= estimate.upper, each.policy


def test_policies_travel_by_pickle_and_as_json(company):
    for churn in (True, False):
        found, _ = decided(company, churn=churn)
        assert pickle.loads(pickle.dumps(found)) == found
        assert Policies.from_dict(found.to_dict()) == found


def test_the_table_has_a_row_a_policy_and_one_of_the_bound_written_once(company):
    version = RegisteredVersion("churn", 4, "run-4")
    found, _ = decided(company)
    for _ in range(2):
        with DuckDBWarehouse.open(company.settings.warehouse_path) as warehouse:
            records.write_policies(warehouse, version, found, datetime(2026, 1, 1))
    rows = company.sql(
        "select policy, is_chosen, threshold, threshold_lower is null from ml.thresholds "
        "order by policy"
    )
    assert [row[0] for row in rows] == ["bound", "capacity", "f1", "precision", "profit"]
    assert [row[1] for row in rows] == [False, True, False, False, False]
    assert rows[0][2:] == (found.bound.threshold, True)
    assert rows[1][2:] == (found.threshold.threshold.value, False)


def test_no_row_is_refused(company):
    empty = Outcomes(*(np.zeros(0) for _ in range(3)), np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="no row"):
        policies.decide(
            empty,
            np.zeros(0),
            [],
            {},
            options=company.settings.decide,
            share=0.1,
            samples=5,
            rng=np.random.default_rng(0),
        )


def test_costs_are_read_from_where_the_manifest_says(tmp_path):
    own = project(tmp_path)
    settings = own.settings
    path = settings.manifest_path
    path.write_text(path.read_text().replace('"schema": "bronze"', '"schema": "shop"'))
    with (
        DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse,
        pytest.raises(ContractError, match=r"shop\.retention_costs"),
    ):
        read_costs(settings, warehouse)
    own.sql(
        "create schema shop",
        "create table shop.retention_costs as select 'gold' as value_tier, "
        "cast(5 as decimal(18, 2)) as contact_cost, 0.5 as save_rate, 3 as value_months",
    )
    with DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        assert read_costs(settings, warehouse) == {"gold": TierCosts(5, 0.5, 3)}
    own.sql("update shop.retention_costs set save_rate = 1.5")
    with (
        DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse,
        pytest.raises(DataError, match="save_rate of 0 to 1"),
    ):
        read_costs(settings, warehouse)
    path.write_text('{"nodes": {}}')
    with (
        DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse,
        pytest.raises(DataError, match="seed retention_costs"),
    ):
        read_costs(settings, warehouse)


def test_a_policy_and_shares_that_are_none_are_refused(company):
    with pytest.raises(HoldfastError, match=r"decide\.policy must be one of capacity, precision"):
        company.with_settings(decide={"policy": "hope"})
    with pytest.raises(HoldfastError, match=r"decide\.alpha must lie between 0 and 1"):
        company.with_settings(decide={"alpha": 1.0})
