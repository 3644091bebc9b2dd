"""The marts over hand-made gold: figures against other libraries, and every claim failing once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss

from ml import metrics

ROOT = Path(__file__).parents[2]
CAPACITY = 45
MARTS = (
    "marts_customer_risk",
    "marts_retention_worklist",
    "marts_revenue_at_risk",
    "marts_model_performance",
    "marts_cohort_retention",
)
HORIZONS = {"new": 30, "established": 30, "mature": 90}
# Of the last date, the longest horizon is not over.
DATES = ("2024-01-01", "2024-02-01", "2024-05-01")
# Final columns have six places.
ROUNDING = 6e-7

# What makes each claim false, on rows of which it is true before.
BROKEN = {
    "assert_cohort_retention_counts_every_observation": (
        "delete from marts.cohort_retention where months_since_sign_up = 4"
    ),
    "assert_customer_360_covers_observations": (
        "delete from gold.customer_360 where customer_id = 'c001'"
    ),
    "assert_gold_has_no_floating_point": "alter table gold.customer_360 alter plan_age type double",
    "assert_inputs_are_fresh": (
        "update silver.arrivals set known_date = date '2024-07-11' where entity = 'activity'"
    ),
    "assert_intake_adds_up": "update silver.intake set rows_kept = 979 where entity = 'orders'",
    "assert_labels_wait_until_known": (
        "update gold.churn_labels set label_known_at = label_known_at - interval 1 day "
        "where customer_id = 'c002'"
    ),
    "assert_observations_are_classified": (
        "update gold.observations set cohort = null where customer_id = 'c003'"
    ),
    "assert_observed_customers_were_known": (
        "update silver.customers_versions set known_from = timestamp '2024-01-01' "
        "where customer_id = 'c004'"
    ),
    "assert_rejects_within_threshold": (
        "update silver.intake set rejects = 21, rows_kept = 979 where entity = 'tickets'"
    ),
    "assert_revenue_at_risk_adds_up": (
        "update marts.revenue_at_risk set revenue_at_risk = revenue_at_risk + 2 * customers"
    ),
    "assert_scores_are_of_todays_gold": (
        "update gold.fingerprints set fingerprint = 'other' where as_of_date = '2024-05-01'"
    ),
    "assert_scores_cover_every_customer": (
        "delete from ml.predictions where customer_id = 'c005' and as_of_date = '2024-01-01'"
    ),
    "assert_training_set_holds_known_labels": (
        "delete from gold.training_set where customer_id = 'c006'"
    ),
    "assert_worklist_is_the_champions": (
        "insert into ml.alias_history by name select 'churn' as model_name, 'champion' as alias, "
        "1 as to_version, timestamp '2024-09-01' as changed_at"
    ),
    "assert_worklist_is_the_top_within_capacity": (
        "delete from marts.retention_worklist where priority = 7"
    ),
    "keeps_contract_marts_model_performance_"
    "model_name__model_version__as_of_date__segment_type__segment": (
        "update marts.model_performance set brier = 1.000001"
    ),
    "keeps_contract_marts_customer_risk_customer_id__as_of_date": (
        "update marts.customer_risk set priority = 0 where priority = 1"
    ),
}


def observations() -> pd.DataFrame:
    """Return 300 customers at three dates, with their labels and what two versions said."""
    rng = np.random.default_rng(5)
    count = 300
    frames = []
    for date in DATES:
        cohort = rng.choice(list(HORIZONS), count, p=[0.2, 0.3, 0.5])
        risk = rng.beta(1, 8, count)
        is_churn = rng.random(count) < risk
        horizon = np.array([HORIZONS[name] for name in cohort])
        frames.append(
            pd.DataFrame(
                {
                    "customer_id": [f"c{number:03}" for number in range(count)],
                    "as_of_date": pd.Timestamp(date),
                    "cohort": cohort,
                    "value_tier": rng.choice(["smb", "mid_market"], count),
                    "segment": rng.choice(["b2b", "b2c", None], count),
                    "horizon_days": horizon,
                    "monthly_revenue": rng.integers(0, 100_000, count) / 100,
                    "is_label_available": (date != DATES[-1]) | (horizon == 30),
                    "has_left_before": rng.random(count) < 0.03,
                    "is_churn": is_churn,
                    "days_to_churn": rng.integers(0, horizon),
                    # Few distinct values, so that there are ties at every cut.
                    "score_1": np.round(risk + rng.normal(0, 0.1, count), 1),
                    "score_2": np.round(risk + rng.normal(0, 0.03, count), 2),
                    "churn_probability": np.round(risk, 2),
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    frame["is_churn"] &= ~frame["has_left_before"]
    return frame


TABLES = """
create schema silver; create schema gold; create schema ml;
create table silver.clock as select timestamp '2024-01-01' as data_from,
    timestamp '2024-07-15 12:00:00' as data_until;
create table silver.arrivals as select entity, date '2024-07-14' as known_date
    from (values ('activity'), ('orders')) as entities (entity);
create table silver.intake as select entity, 1000 as rows_in, 980 as rows_kept, 10 as repeats,
    10 as rejects from (values ('tickets'), ('orders')) as entities (entity);
create table silver.customers_versions as select distinct customer_id,
    timestamp '2023-12-01' + to_days(cast(substr(customer_id, 2) as integer) % 60) as signed_up_at,
    timestamp '2023-12-01' as known_from, null::timestamp as known_to from made_up;
create table gold.as_of_dates as select as_of_date, true as is_grid from
    (select distinct as_of_date::date as as_of_date from made_up);
create table gold.observations as select customer_id, as_of_date::date as as_of_date, 7 as
    tenure_days, cohort, 30 as observation_days, horizon_days::integer as horizon_days, value_tier,
    monthly_revenue::decimal(18, 2) as monthly_revenue, 1::decimal(18, 6) as sample_weight
    from made_up;
create table gold.customer_360 as select observations.*, made_up.segment, null::varchar as country,
    null::varchar as plan, 5 as plan_age, null::integer as days_to_renewal,
    null::boolean as auto_renew, 0 as open_tickets, 3 as days_since_last_activity
    from gold.observations as observations join made_up using (customer_id, as_of_date);
create table gold.churn_labels as select customer_id, as_of_date::date as as_of_date,
    case when is_label_available then is_churn end as is_churn,
    case when is_label_available and is_churn
        then as_of_date + to_days(days_to_churn::integer) end::timestamp as churned_at,
    case when is_label_available and is_churn then days_to_churn end::integer as days_to_churn,
    case when is_label_available and is_churn then 'voluntary' end as churn_type,
    (as_of_date + to_days((horizon_days + 30)::integer))::timestamp as label_known_at,
    is_label_available, case when is_label_available then has_left_before end as has_left_before
    from made_up;
create table gold.training_set as select customer_id, as_of_date, is_churn, label_known_at
    from gold.churn_labels where is_label_available and not has_left_before;
create table gold.fingerprints as select as_of_date, 'customer_360' as relation,
    'of ' || as_of_date as fingerprint from gold.as_of_dates;
create table ml.predictions as select customer_id, as_of_date::date as as_of_date,
    'churn' as model_name, version as model_version,
    case when version = 1 then score_1 else score_2 end as score, churn_probability,
    'of ' || as_of_date::date as gold_fingerprint
    from made_up cross join (values (1), (2)) as versions (version);
create table ml.model_versions as select 'churn' as model_name, version as model_version,
    date '2024-01-01' as train_to from (values (1), (2)) as versions (version);
create table ml.alias_history as select 'churn' as model_name, 'champion' as alias,
    version - 1 as from_version, version as to_version,
    timestamp '2024-08-01' + to_days(version) as changed_at
    from (values (1), (2)) as versions (version);
create table ml.prediction_reasons as select customer_id, as_of_date, model_name, model_version,
    1 as reason_rank, 'tenure_days' as feature, '7' as feature_value, 0.5::double as contribution,
    'customer for 7 days' as reason
    from ml.predictions;
"""


class Project:
    """This project over a warehouse of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = folder / "warehouse.duckdb"

    def execute(self, *statements: str) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            for statement in statements:
                connection.execute(statement)

    def read(self, query: str) -> pd.DataFrame:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(query).df()

    def dbt(self, command: str, *select: str) -> dict[str, str]:
        """Run dbt and return the status of each node by its name."""
        subprocess.run(
            [
                str(Path(sys.executable).with_name("dbt")),
                *("--quiet", command, "--select", *select),
                *("--project-dir", str(ROOT), "--profiles-dir", str(ROOT)),
                *("--target-path", str(self.folder / "target")),
                *("--log-path", str(self.folder / "logs")),
                *("--vars", json.dumps({"worklist_capacity": CAPACITY})),
            ],
            env={**os.environ, "HOLDFAST_LOCAL": str(self.folder)},
            capture_output=True,
            check=False,
        )
        results = json.loads((self.folder / "target" / "run_results.json").read_text())["results"]
        nodes = (result for result in results if not result["unique_id"].startswith("operation."))
        return {node["unique_id"].split(".")[2]: node["status"] for node in nodes}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("marts"))
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.register("made_up", observations())
        connection.execute(TABLES)
    assert set(project.dbt("run", *MARTS).values()) == {"success"}
    yield project


def test_a_column_that_an_older_table_lacks_is_added(project: Project) -> None:
    # The tables above were made with some of the columns that they have today.
    assert project.read(
        "select column_name from duckdb_columns() where schema_name = 'ml' "
        "and table_name = 'predictions' and column_name = 'run_id'"
    ).shape == (1, 1)
    assert project.read("select count(*) as n from ml.predictions where run_id is null")["n"][0] > 0


def judged(figures: pd.Series) -> pd.DataFrame:
    """Return the customers that a row of model_performance is about."""
    frame = observations()
    frame = frame[frame["as_of_date"] == figures["as_of_date"]].copy()
    frame["score"] = frame[f"score_{figures['model_version']}"]
    frame["place_share"] = place_share(frame["score"].to_numpy(), CAPACITY)
    if figures["segment_type"] != "overall":
        frame = frame[frame[figures["segment_type"]] == figures["segment"]]
    assert frame["is_label_available"].all()
    return frame[~frame["has_left_before"]]


def place_share(score: np.ndarray, places: float) -> np.ndarray:
    """Return which share of the first places each row has; equal scores share theirs."""
    above = (score[None, :] > score[:, None]).sum(axis=1)
    equal = (score[None, :] == score[:, None]).sum(axis=1)
    return np.clip((places - above) / equal, 0, 1)


def median(days: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted median by repeating each row as its weight says."""
    # Divisible by 1 to 12: shares of few tied rows become whole numbers.
    times = np.round(weight * 27_720).astype(int)
    return float(np.median(np.repeat(days, times))) if times.sum() else np.nan


def expected(customers: pd.DataFrame) -> dict[str, float]:
    churned = customers["is_churn"].to_numpy(dtype=float)
    score = customers["score"].to_numpy()
    probability = customers["churn_probability"].to_numpy()
    listed = customers["place_share"].to_numpy()
    tenth = place_share(score, len(score) / 10)
    rate = churned.mean()
    at_capacity = (listed * churned).sum() / listed.sum() if listed.sum() else np.nan
    at_tenth = (tenth * churned).sum() / tenth.sum()
    return {
        "observations": len(customers),
        "churned": churned.sum(),
        "expected_churners": probability.sum(),
        "base_rate": rate,
        "precision_at_capacity": at_capacity,
        "recall_at_capacity": (listed * churned).sum() / churned.sum(),
        "lift_at_capacity": at_capacity / rate,
        "precision_at_10_percent": at_tenth,
        "recall_at_10_percent": (tenth * churned).sum() / churned.sum(),
        "lift_at_10_percent": at_tenth / rate,
        "average_precision": average_precision_score(churned, score),
        "brier": brier_score_loss(churned, probability),
        "lead_time_days": median(
            customers["days_to_churn"].to_numpy()[churned > 0], listed[churned > 0]
        ),
    }


def test_figures_agree_with_scikit_learn_and_closed_forms(project: Project) -> None:
    figures = project.read("select * from marts.model_performance")
    for _, row in figures.iterrows():
        for name, value in expected(judged(row)).items():
            assert row[name] == pytest.approx(value, abs=ROUNDING, nan_ok=True), (name, row)


def test_a_figure_means_what_it_means_at_training(project: Project) -> None:
    figures = project.read("select * from marts.model_performance")
    for _, row in figures.iterrows():
        customers = judged(row)
        churned = customers["is_churn"].to_numpy(dtype=float)
        score = customers["score"].to_numpy()
        assert row["average_precision"] == pytest.approx(
            metrics.average_precision(churned, score), abs=ROUNDING
        )
        assert row["recall_at_10_percent"] == pytest.approx(
            metrics.recall_at(churned, score, 0.1), abs=ROUNDING
        )
        assert row["calibration_error"] == pytest.approx(
            metrics.calibration_error(churned, customers["churn_probability"].to_numpy()),
            abs=ROUNDING,
        )


def test_a_segment_is_judged_when_its_last_label_is_known(project: Project) -> None:
    segments = project.read(
        "select as_of_date::varchar as as_of_date, segment, is_seen_in_training "
        "from marts.model_performance where model_version = 2"
    )
    whole = {"overall", "new", "established", "mature", "smb", "mid_market"}
    assert segments.groupby("as_of_date")["segment"].agg(set).to_dict() == {
        DATES[0]: whole,
        DATES[1]: whole,
        DATES[2]: {"new", "established"},
    }
    seen = segments.groupby("as_of_date")["is_seen_in_training"].agg(set).to_dict()
    assert seen == {DATES[0]: {True}, DATES[1]: {False}, DATES[2]: {False}}


def test_the_worklist_holds_the_most_money_at_risk(project: Project) -> None:
    worklist = project.read("select * from marts.retention_worklist order by priority")
    frame = observations()
    frame = frame[frame["as_of_date"] == DATES[-1]]
    at_risk = (frame["churn_probability"] * 12 * frame["monthly_revenue"]).round(2)
    assert len(worklist) == CAPACITY
    assert worklist["revenue_at_risk"].tolist() == pytest.approx(
        at_risk.sort_values(ascending=False).head(CAPACITY).tolist(), abs=0.005
    )
    assert set(worklist["model_version"]) == {2}
    assert set(worklist["reason_1"]) == {"customer for 7 days"}


def test_every_claim_holds_and_can_fail(project: Project) -> None:
    held = project.dbt("test", *BROKEN)
    assert held == dict.fromkeys(BROKEN, "pass")
    project.execute(*BROKEN.values())
    broken = project.dbt("test", *BROKEN)
    assert set(broken) == set(BROKEN)
    assert {name for name, status in broken.items() if status not in ("fail", "warn")} == set()
    assert {name for name, status in broken.items() if status == "warn"} == {
        "assert_inputs_are_fresh",
        "assert_scores_are_of_todays_gold",
    }
