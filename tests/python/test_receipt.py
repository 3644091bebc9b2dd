"""The receipt: claims that are not kept are told from one that is."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT, Demo
from model_fixtures import Company, build_company
from sklearn.metrics import roc_auc_score

from ml import matrix
from ml.audit import current_state
from ml.audit.receipt import (
    HONEST,
    NEWEST_FEATURES,
    NEWEST_STATE,
    NO_PURGE,
    RANDOM,
    ReceiptResult,
    receipt,
)
from ml.contract import load_contract
from ml.errors import DataError
from ml.families.boosting import build_lightgbm
from ml.families.protocol import fit_pipeline
from ml.metrics import AVERAGE_PRECISION, PRECISION, ROC_AUC
from ml.sampling import EVERYBODY
from ml.training_set import read_features, read_labelled_rows
from ml.warehouse import DuckDBWarehouse

WAYS = [RANDOM, NO_PURGE, NEWEST_STATE, NEWEST_FEATURES, HONEST]


def share_fates(company: Company) -> None:
    """Let groups of customers share a fate that turns with each quarter.

    The features name the group and the month, so whoever has seen some rows of a quarter can tell
    the others'. The fates of two quarters have nothing to do with each other: a group's number is
    three bits, and each quarter asks for the parity of other ones.
    """
    company.sql(
        """
        create table fates as
        select customer_id, as_of_date,
            cast(substr(customer_id, 2) as integer) % 8 as fate_group,
            (year(as_of_date) - 2023) * 12 + month(as_of_date) as fate_month,
            bit_count(fate_group & [1, 2, 4, 7, 3][1 + (fate_month - 1) // 3]) % 2 = 1 as is_bad,
            hash(customer_id || cast(as_of_date as varchar)) % 100 as draw
        from gold.customer_360
        """,
        """
        update gold.customer_360 set mrr = fate_group, logins_30d = fate_month,
            actions_30d_vs_prior_ratio = null, days_since_last_activity = draw,
            horizon_days = 30, cohort = 'established', value_tier = 'smb', sample_weight = 1
        from fates where fates.customer_id = customer_360.customer_id
            and fates.as_of_date = customer_360.as_of_date
        """,
        """
        update gold.churn_labels set is_churn = draw < case when is_bad then 60 else 5 end,
            label_known_at = churn_labels.as_of_date + interval 44 day
        from fates where fates.customer_id = churn_labels.customer_id
            and fates.as_of_date = churn_labels.as_of_date
        """,
        "update gold.churn_labels set is_label_available = label_known_at <= "
        "(select data_until from silver.clock)",
        "update gold.churn_labels set days_to_churn = case when is_churn then 10 end",
        "update gold.customer_360 set days_since_last_activity = 5",
        "drop table fates",
    )


@pytest.fixture
def of_shared_fates(tmp_path, monkeypatch) -> Company:
    company = build_company(tmp_path / "company", customers=600, months=15)
    share_fates(company)

    def as_known(settings, types, rows, split_at, *, progress=None):
        # This company has no dbt project to build another gold with.
        with DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse:
            return current_state._aligned(warehouse, types, rows, "select * from gold.customer_360")

    monkeypatch.setattr(current_state, "of_newest_state", as_known)
    return company


@pytest.fixture
def measured(of_shared_fates) -> ReceiptResult:
    return receipt(of_shared_fates.settings)


def test_a_random_split_claims_what_no_model_achieves(measured):
    assert [each.way for each in measured.ways] == WAYS
    random = measured.of(RANDOM).promises[ROC_AUC]
    assert random.is_broken
    assert random.claimed.lower > random.achieved.upper
    honest = measured.of(HONEST).promises[ROC_AUC]
    assert not honest.is_broken
    assert honest.claimed.lower < honest.achieved.value < honest.claimed.upper
    # The same model is put to work whoever measured it, as long as the features are the same.
    assert random.achieved == honest.achieved == measured.of(NO_PURGE).promises[ROC_AUC].achieved


def test_the_honest_claim_is_that_of_a_model_fitted_by_hand(of_shared_fates, measured):
    settings = of_shared_fates.settings
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        table = connection.sql(
            "select * from gold.training_set order by as_of_date, customer_id"
        ).to_arrow_table()
    types = load_contract(settings.manifest_path).types
    frame, target = matrix.to_frame(table, types), matrix.to_floats(table["is_churn"])
    known, day = matrix.to_days(table["label_known_at"]), matrix.to_days(table["as_of_date"])
    split = np.datetime64(measured.split_at)
    first, *_ = dates = np.array(measured.judged_dates, dtype="datetime64[us]")
    train, judged = known <= first, np.isin(day, dates)
    assert (known[judged] <= split).all()
    params = settings.train.lightgbm

    def score_of(train, judged):
        pipeline = build_lightgbm(types, params, np.random.default_rng(settings.seed))
        # Every weight of this company is 1.
        fit_pipeline(pipeline, frame.loc[train], target[train], None)
        return roc_auc_score(target[judged], pipeline.decision_function(frame.loc[judged]))

    honest = measured.of(HONEST)
    assert (honest.train_rows, honest.judged_rows) == (train.sum(), judged.sum())
    assert measured.of(NO_PURGE).train_rows == (day < first).sum() > train.sum()
    promise = honest.promises[ROC_AUC]
    assert promise.claimed.value == pytest.approx(score_of(train, judged), abs=1e-6)
    following = np.isin(day, np.array(measured.following_dates, dtype="datetime64[us]"))
    assert (day[following] >= split).all()
    assert promise.achieved.value == pytest.approx(score_of(known <= split, following), abs=1e-6)
    assert promise.excess.value == pytest.approx(promise.claimed.value - promise.achieved.value)


def test_no_claim_has_seen_what_was_not_known_at_the_split(of_shared_fates, measured):
    split_at = measured.split_at
    of_shared_fates.sql(
        f"update gold.churn_labels set is_churn = not is_churn where label_known_at > '{split_at}'",
        "update gold.customer_360 set mrr = mrr + 3, logins_30d = 0 "
        f"where as_of_date > '{split_at}'",
    )
    again = receipt(of_shared_fates.settings)
    for before, after in zip(measured.ways, again.ways, strict=True):
        for metric in (ROC_AUC, AVERAGE_PRECISION, PRECISION):
            assert before.promises[metric].claimed == after.promises[metric].claimed
    assert (
        measured.of(HONEST).promises[ROC_AUC].achieved
        != again.of(HONEST).promises[ROC_AUC].achieved
    )


def test_what_was_found_is_kept(of_shared_fates, measured):
    found = of_shared_fates.sql(
        "select subject, status, severity, evidence from ml.audit_findings "
        "where audit = 'receipt' order by subject"
    )
    assert [row[0] for row in found] == sorted(WAYS)
    status = {row[0]: row[1:3] for row in found}
    assert status[RANDOM] == ("failed", "note")
    assert status[HONEST] == ("passed", "warning")
    evidence = {row[0]: json.loads(row[3]) for row in found}
    assert evidence[RANDOM]["promises"][ROC_AUC]["claimed"]["value"] == pytest.approx(
        measured.of(RANDOM).promises[ROC_AUC].claimed.value
    )
    report = json.loads(measured.report.read_text())
    assert [each["way"] for each in report["ways"]] == WAYS
    assert measured.picture.read_bytes().startswith(b"\x89PNG")


def test_newest_features_are_those_of_the_last_observation_at_the_split(of_shared_fates):
    settings, split_at = of_shared_fates.settings, datetime(2023, 8, 1)
    types = {"logins_30d": "bigint"}
    with DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        rows = read_labelled_rows(warehouse, EVERYBODY, known_until=split_at)
        frame = current_state.of_newest_observation(warehouse, types, rows, split_at)
    # The feature is the number of the month.
    assert (frame["logins_30d"] == 8).all()
    assert len(frame) == rows.keys.num_rows


def test_one_class_before_the_split_is_an_error(of_shared_fates):
    of_shared_fates.sql("update gold.churn_labels set is_churn = as_of_date >= '2023-10-01'")
    with pytest.raises(DataError, match="both churned and retained customers in the rows that"):
        receipt(of_shared_fates.settings)


# -- on the demo company, with dbt ---------------------------------------------------------------


@pytest.fixture(scope="module")
def told(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The command's own words on a copy of the demo company, and where that lies."""
    folder = tmp_path_factory.mktemp("receipt")
    # So short a history has months enough to judge, to learn from and to follow only by ones.
    left_out = shutil.ignore_patterns(".*", "local", "target", "logs", "examples", "*.egg-info")
    shutil.copytree(ROOT, folder / "project", ignore=left_out)
    (folder / "project" / "holdfast.yml").write_text("train: {test_dates: 1}\n")
    shutil.copytree(demo.settings.local_dir, folder / "local")
    shutil.copytree(demo.settings.target_dir, folder / "target")
    ended = subprocess.run(
        [sys.executable, "-m", "ml", "audit", "receipt", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder / "project",
        env={
            **os.environ,
            "HOLDFAST_LOCAL": str(folder / "local"),
            "DBT_TARGET_PATH": str(folder / "target"),
        },
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "local", json.loads(ended.stdout)


def test_the_command_says_what_every_way_claims(told):
    local, result = told
    ways = {each["way"]: each for each in result["ways"]}
    assert list(ways) == WAYS
    for each in ways.values():
        for promise in each["promises"].values():
            for estimate in (promise["claimed"], promise["achieved"]):
                assert estimate["lower"] <= estimate["upper"]
    assert Path(result["picture"]).is_file()
    assert Path(result["report"]).parent == local / "reports"
    assert not (local / "audit").exists()


def test_the_newest_state_rewrites_attributes_and_leaves_facts(demo: Demo, tmp_path: Path):
    """Each past row has the industry of the day of the split, and the activity of its own day."""
    local = tmp_path / "local"
    local.mkdir()
    shutil.copy(demo.settings.warehouse_path, local)
    settings = replace(demo.settings, local_dir=local)
    split_at = datetime(2025, 2, 1)
    types = load_contract(settings.manifest_path).types
    with DuckDBWarehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        rows = read_labelled_rows(warehouse, EVERYBODY, known_until=split_at)
        everything = read_labelled_rows(warehouse, EVERYBODY)
        known = everything.label_known_at <= np.datetime64(split_at)
        then = read_features(warehouse, types, everything).loc[known].reset_index(drop=True)
        versions = warehouse.query(
            "select customer_id, arg_max(industry, known_from) from silver.customers_versions "
            "where known_from < $1 group by customer_id",
            [split_at],
        )
    newest = dict(zip(*(column.to_pylist() for column in versions.columns), strict=True))
    frame, found = current_state.of_newest_state(settings, types, rows, split_at)
    assert found.mean() > 0.9
    frame, then = frame.loc[found], then.loc[found]
    customers = rows.keys.filter(pa.array(found))["customer_id"].to_pylist()
    assert frame["industry"].tolist() == [newest[customer] for customer in customers]
    for fact in ("actions_30d", "logins_90d", "minutes_90d", "days_since_last_activity"):
        pd.testing.assert_series_equal(frame[fact], then[fact])
    for state in ("industry", "mrr", "days_to_renewal", "auto_renew"):
        assert not frame[state].equals(then[state])
