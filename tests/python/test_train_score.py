"""Training and scoring from end to end, on a small company with a warehouse of its own."""

import json
import shutil
from dataclasses import replace
from datetime import date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from model_fixtures import blank_store, build_company, manifest
from sklearn.metrics import average_precision_score, roc_auc_score

from ml import explain, fit, matrix
from ml import score as scoring
from ml import train as training
from ml.errors import ContractError, DataError, HoldfastError
from ml.evaluate import evaluate
from ml.plan import make_plan
from ml.registry import Registry
from ml.settings import load_settings
from ml.splits import customer_share
from ml.training_set import read_features
from ml.warehouse import DuckDBWarehouse

ML_TABLES = (
    "predictions",
    "prediction_reasons",
    "model_versions",
    "alias_history",
    "evaluations",
    "training_sets",
    "check_results",
    "gate_results",
)


def store_of(company):
    return Registry(company.settings.mlflow_uri, company.settings.artifact_root)


def champion_model(company):
    store = store_of(company)
    return store.load_model(store.champion("churn"))


def ml_state(company):
    return {
        table: sorted(map(repr, company.sql(f"select * from ml.{table}"))) for table in ML_TABLES
    }


def nothing_written(company, *, but=()):
    return all(not rows for table, rows in ml_state(company).items() if table not in but)


def frame_of(company, where="true"):
    model = champion_model(company)
    with duckdb.connect(str(company.settings.warehouse_path), read_only=True) as connection:
        rows = connection.sql(
            f"select * from gold.customer_360 where {where} order by as_of_date, customer_id"
        ).to_arrow_table()
    return model, rows, matrix.to_frame(rows, model.types)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return build_company(tmp_path_factory.mktemp("trained") / "company")


@pytest.fixture(scope="module")
def trained(company):
    return training.train(company.settings)


@pytest.fixture(scope="module")
def scored(company, trained):
    return scoring.score(company.settings)


# -- train -----------------------------------------------------------------------------------


def test_the_first_model_that_beats_recency_becomes_champion(company, trained):
    assert trained.is_new
    assert trained.is_champion
    assert trained.model_version == 1
    assert trained.verdict == (
        "The model serves as champion: passes all 8 gates; there was no champion."
    )
    assert store_of(company).champion("churn").model_version == 1


def test_the_split_is_the_one_the_rule_gives(company, trained):
    record = trained.record
    rows = company.sql(
        "select customer_id, as_of_date, label_known_at, is_churn from gold.training_set"
    )
    complete = company.sql(
        "select as_of_date from gold.churn_labels group by 1 having bool_and(is_label_available) "
        "order by 1 desc limit 2"
    )
    test_dates = sorted(day for (day,) in complete)
    cutoff = datetime.combine(test_dates[0], datetime.min.time())
    mature = [row for row in rows if row[2] <= cutoff]
    # A history of a year is too short to look ahead within it.
    seed, share = company.settings.seed, company.settings.train.calibration_share
    calibrates = [row for row in mature if customer_share(row[0], seed) < share]
    assert (record.test_from, record.test_to) == (test_dates[0], test_dates[-1])
    assert record.training_cutoff == cutoff
    assert record.calibration_rows == len(calibrates) > 0
    assert record.train_rows == len(mature) > 0
    assert record.test_rows == sum(row[1] in test_dates for row in rows)
    assert record.purged_rows == len(rows) - len(mature) - record.test_rows > 0


def test_every_estimator_is_reported_overall_and_by_segment(company, trained):
    found = {
        (row[0], row[1], row[2])
        for row in company.sql(
            "select estimator, segment_type, segment from ml.evaluations where split = 'test'"
        )
    }
    segments = [("overall", "all")]
    segments += [("cohort", name) for name in ("established", "mature")]
    segments += [("value_tier", name) for name in ("enterprise", "mid_market", "smb")]
    assert found == {
        (estimator, *segment)
        for estimator in (trained.record.estimator, "recency", "base_rate")
        for segment in segments
    }
    assert company.sql(
        "select count(*), count(distinct (estimator, segment_type, segment, metric)) "
        "from ml.evaluations where split = 'test'"
    ) == [(3 * 6 * 10, 3 * 6 * 10)]
    assert company.sql(
        "select distinct split, model_version, run_id from ml.evaluations order by 1"
    ) == [("test", 1, trained.run_id), ("validation", 1, trained.run_id)]
    assert company.sql(
        "select estimator from ml.evaluations where split = 'validation' and "
        "metric = 'mean_average_precision' order by 1"
    ) == [("base_rate",), ("lightgbm",), ("logistic_regression",), ("recency",)]


def test_reported_metrics_are_those_of_the_registered_model(company, trained):
    record = trained.record
    model, rows, frame = frame_of(
        company, f"as_of_date between '{record.test_from}' and '{record.test_to}'"
    )
    labels = company.sql(
        "select is_churn from gold.training_set "
        f"where as_of_date between '{record.test_from}' and '{record.test_to}' "
        "order by as_of_date, customer_id"
    )
    target = np.array([label for (label,) in labels], dtype=float)
    score = model.raw_score(frame)
    reported = {
        each.metric: each.value
        for each in record.evaluations
        if each.estimator == record.estimator and each.segment_type == "overall"
    }
    assert reported["average_precision"] == pytest.approx(average_precision_score(target, score))
    assert reported["roc_auc"] == pytest.approx(roc_auc_score(target, score))
    probability = model.calibrator.probability(score)
    assert reported["brier"] == pytest.approx(np.mean((probability - target) ** 2))
    base_rate = next(
        each
        for each in record.evaluations
        if (each.estimator, each.segment_type, each.metric)
        == ("base_rate", "overall", "average_precision")
    )
    assert base_rate.value == pytest.approx(target.mean())


def test_the_family_is_chosen_by_its_history_over_past_dates(tmp_path):
    record = training.train(build_company(tmp_path / "older", months=18).settings).record
    standings = {each.estimator: each for each in record.standings}
    assert set(standings) == {"lightgbm", "logistic_regression", "recency", "base_rate"}
    means = [each.mean.value for each in record.standings]
    assert means == sorted(means, reverse=True)
    for each in standings.values():
        assert len(each.by_fold) > 1
        assert each.mean.value == pytest.approx(np.mean(list(each.by_fold.values())))
        assert each.worst == each.by_fold[each.worst_fold] == min(each.by_fold.values())
        assert all(date.fromisoformat(day) < record.test_from for day in each.by_fold)
    first = standings["lightgbm"]
    is_beaten = first.gap is not None and first.gap.upper < 0
    assert record.estimator == ("logistic_regression" if is_beaten else "lightgbm")


def test_thresholds_are_of_the_calibrated_probability(company, trained):
    share = company.settings.train.capacity_share
    (found,) = company.sql(
        "select threshold, threshold_lower, threshold_upper, share_called from ml.thresholds "
        "where policy = 'capacity'"
    )
    assert all(0 < probability < 1 for probability in found[:3])
    assert 0 < found[3] <= share
    model = store_of(company).load_model(store_of(company).champion("churn"))
    assert model.policies == trained.record.policies
    assert model.policies.threshold.policy == company.settings.decide.policy == "capacity"


def test_the_warehouse_tells_of_the_version(company, trained):
    record = trained.record
    assert company.sql(
        "select model_name, model_version, run_id, estimator, training_cutoff, train_rows, "
        "calibration_rows, test_rows, features_hash, feature_count, training_set_id "
        "from ml.model_versions"
    ) == [
        (
            "churn",
            1,
            trained.run_id,
            record.estimator,
            record.training_cutoff,
            record.train_rows,
            record.calibration_rows,
            record.test_rows,
            record.features_hash,
            7,
            record.training_set_id,
        )
    ]
    assert company.sql("select alias, from_version, to_version, why from ml.alias_history") == [
        ("candidate", None, 1, "the newest training"),
        ("champion", None, 1, "passes all 8 gates; there was no champion"),
    ]
    used = record.train_rows + record.test_rows
    assert company.sql("select training_set_id, row_count, sha256 from ml.training_sets") == [
        (record.training_set_id, used + record.purged_rows, record.training_set_sha256)
    ]


def test_pictures_and_metrics_are_logged(company, trained):
    found = {path.name for path in company.settings.artifact_root.rglob("curves/*.png")}
    assert found == {
        "precision_recall.png",
        "roc.png",
        "gain.png",
        "calibration.png",
        "importance.png",
    }
    run = store_of(company)._client.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["recency.roc_auc"] > 0.5
    assert run.data.metrics["roc_auc"] == run.data.metrics[f"{trained.record.estimator}.roc_auc"]


def test_the_checks_results_are_kept(company, trained):
    found = company.sql(
        "select distinct run_id, is_success from ml.check_results where suite = 'training_matrix'"
    )
    assert found == [(trained.run_id, True)]
    report = json.loads((company.settings.reports_dir / "check_training_matrix.json").read_text())
    assert report["is_success"]


def test_an_all_null_feature_is_kept_and_told(trained):
    assert trained.record.notes == ("null in every training row, kept: csat_avg_90d",)
    assert trained.record.feature_count == 7


def test_label_rates_are_of_all_labelled_rows(company, trained):
    expected = company.sql(
        "select cohort, count(*), count(*) filter (where is_churn) from gold.training_set "
        "group by 1 order by 1"
    )
    found = [(each.cohort, each.observations, each.churned) for each in trained.record.label_rates]
    assert found == expected
    assert trained.record.label_rates[0].rate == pytest.approx(expected[0][2] / expected[0][1])


def test_training_again_does_nothing_and_returns_the_same(company, trained, scored):
    before = ml_state(company)
    assert training.is_current(company.settings)
    again = training.train(company.settings)
    assert not again.is_new
    assert again.is_champion
    assert (again.model_version, again.run_id, again.record) == (1, trained.run_id, trained.record)
    assert ml_state(company) == before
    runs = store_of(company)._client.search_runs(["1"])
    assert len(runs) == 1


def test_results_are_json(trained, scored):
    assert json.loads(json.dumps(trained.to_dict()))["model_version"] == 1
    assert json.loads(json.dumps(scored.to_dict()))["as_of_date"] == "2023-12-01"


def test_evaluate_judges_the_champion_as_it_was_judged(company, trained):
    found = evaluate(company.settings)
    recorded = {
        (each.estimator, each.segment, each.metric): each for each in trained.record.evaluations
    }
    assert {each.estimator for each in found.evaluations} == {
        trained.record.estimator,
        "recency",
        "base_rate",
    }
    for each in found.evaluations:
        before = recorded[each.estimator, each.segment, each.metric]
        assert each.value == pytest.approx(before.value)
        assert (each.observations, each.churned) == (before.observations, before.churned)
    json.dumps(found.to_dict())


def test_progress_is_told(company, trained):
    steps = []
    training.train(company.settings, progress=lambda *step: steps.append(step))
    assert steps == [("Reading labels", 0, 0)]


# -- score -----------------------------------------------------------------------------------


def test_every_customer_of_the_newest_date_is_scored_once(company, scored):
    assert scored.is_new
    assert scored.as_of_date == date(2023, 12, 1)
    assert scored.predictions == 500
    assert company.sql(
        "select count(*), count(distinct customer_id), min(as_of_date), max(as_of_date) "
        "from ml.predictions where as_of_date = '2023-12-01'"
    ) == [(500, 500, date(2023, 12, 1), date(2023, 12, 1))]


def test_predictions_are_the_champions_in_order(company, scored):
    model, rows, frame = frame_of(company, "as_of_date = '2023-12-01'")
    score = dict(zip(rows["customer_id"].to_pylist(), model.raw_score(frame), strict=True))
    found = company.sql(
        "select customer_id, score, churn_probability, rank from ml.predictions "
        "where as_of_date = '2023-12-01' order by rank"
    )
    assert [row[3] for row in found] == list(range(1, 501))
    # By their own scores: equal rows may differ in the last digit from one read to another.
    stored = {customer: raw for customer, raw, *_ in found}
    assert [row[0] for row in found] == sorted(stored, key=lambda name: (-stored[name], name))
    for customer, raw, probability, _ in found:
        assert raw == pytest.approx(score[customer])
        assert probability == pytest.approx(
            model.calibrator.probability(np.array([score[customer]]))[0]
        )


def test_predictions_carry_what_they_were_made_from(company, trained, scored):
    assert company.sql(
        "select distinct model_name, model_version, features_hash, gold_fingerprint, run_id "
        "from ml.predictions where as_of_date = '2023-12-01'"
    ) == [("churn", 1, trained.record.features_hash, scored.gold_fingerprint, scored.run_id)]
    assert company.sql(
        "select fingerprint from gold.fingerprints where as_of_date = '2023-12-01'"
    ) == [(scored.gold_fingerprint,)]


def test_reasons_are_the_strongest_contributions(company, scored):
    model, rows, frame = frame_of(company, "as_of_date = '2023-12-01'")
    parts = explain.contributions(model, frame)
    found = company.sql(
        "select customer_id, feature, contribution, feature_value from ml.prediction_reasons "
        "where as_of_date = '2023-12-01' order by customer_id, reason_rank"
    )
    assert len(found) == scored.reasons
    by_customer = {}
    for customer, *reason in found:
        by_customer.setdefault(customer, []).append(reason)
    texts = {name: matrix.as_text(rows[name]).to_pylist() for name in parts.features}
    for row, customer in enumerate(rows["customer_id"].to_pylist()):
        expected = sorted(
            zip(parts.features, parts.values[row], strict=True),
            key=lambda reason: (reason[1] <= 0, -abs(reason[1])),
        )
        expected = [reason for reason in expected[:3] if reason[1] != 0]
        assert [reason[0] for reason in by_customer[customer]] == [name for name, _ in expected]
        for (name, contribution, value), (_, strength) in zip(
            by_customer[customer], expected, strict=True
        ):
            assert contribution == pytest.approx(strength)
            assert value == texts[name][row]


def test_scoring_again_changes_nothing(company, scored):
    before = ml_state(company)
    assert scoring.is_current(company.settings)
    again = scoring.score(company.settings)
    assert not again.is_new
    assert again.run_id == scored.run_id
    assert (again.predictions, again.reasons) == (scored.predictions, scored.reasons)
    assert again.mean_probability == pytest.approx(scored.mean_probability)
    assert ml_state(company) == before


def test_an_earlier_date_is_a_slice_of_its_own(company, scored):
    earlier = scoring.score(company.settings, as_of=date(2023, 11, 1))
    assert earlier.is_new
    assert company.sql("select as_of_date, count(*) from ml.predictions group by 1 order by 1") == [
        (date(2023, 11, 1), 500),
        (date(2023, 12, 1), 500),
    ]


def test_a_date_without_customers_is_an_error(company, trained):
    with pytest.raises(DataError, match="as of 2020-01-01.*2023-01-01 to 2023-12-01"):
        scoring.score(company.settings, as_of=date(2020, 1, 1))


def test_another_number_of_reasons_is_written_anew(company, scored):
    fewer = company.with_settings(score={"reasons": 1})
    try:
        assert not scoring.is_current(fewer.settings)
        assert scoring.score(fewer.settings).is_new
        assert company.sql(
            "select max(reason_rank) from ml.prediction_reasons where as_of_date = '2023-12-01'"
        ) == [(1,)]
    finally:
        company.with_settings()
        scoring.score(company.settings)


def test_the_size_of_batches_changes_no_prediction(company, scored):
    query = (
        "select * exclude (run_id, scored_at) from ml.predictions "
        "where as_of_date = '2023-12-01' order by rank"
    )
    before = company.sql(query)
    company.sql("delete from ml.predictions")
    try:
        other = company.with_settings(score={"batch_rows": 100_000})
        assert scoring.score(other.settings).is_new
        after = company.sql(query)
        assert [row[:4] + row[6:] for row in after] == [row[:4] + row[6:] for row in before]
        np.testing.assert_allclose(
            [row[4:6] for row in after], [row[4:6] for row in before], atol=1e-9
        )
    finally:
        company.with_settings()


# -- what a changed warehouse does -------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """Return a company that a test may change."""
    return build_company(tmp_path / "company", customers=300, months=10)


def test_rows_known_too_late_reach_no_model(own):
    """Labels and features that were not known at the cutoff change nothing that was fitted."""
    before = training.train(own.settings).record
    model, _, frame = frame_of(own)
    cutoff = before.training_cutoff
    own.sql(
        f"update gold.churn_labels set is_churn = not is_churn where label_known_at > '{cutoff}'",
        "update gold.customer_360 set logins_30d = logins_30d + 50, mrr = mrr * 3 "
        "where (customer_id, as_of_date) in (select (customer_id, as_of_date) "
        f"from gold.churn_labels where label_known_at > '{cutoff}')",
    )
    after = training.train(own.settings)
    assert after.is_new
    other = store_of(own).load_model(store_of(own).trained_with("churn", _key(own)))
    np.testing.assert_array_equal(other.raw_score(frame), model.raw_score(frame))
    np.testing.assert_array_equal(other.predict(frame), model.predict(frame))
    assert after.record.standings == before.standings


def test_rows_that_calibrate_are_judged_first_and_learnt_from_last(tmp_path):
    own = build_company(tmp_path / "older", months=18)

    def fitted():
        with DuckDBWarehouse.open(own.settings.warehouse_path, read_only=True) as warehouse:
            plan = make_plan(own.settings, warehouse)
            frame = read_features(warehouse, plan.contract.types, plan.data)
        options = own.settings.train
        material = fit.Material(plan.contract.types, plan.data, frame)
        pipelines = {
            family: fit.build(family, options, material.types, own.settings.seed)
            for family in plan.families
        }
        # The newest date alone: what it judges, no other fold learns from.
        split = replace(plan.split, folds=plan.split.folds[-1:])
        scores = fit.validate(pipelines, material, split.folds, options.weighting)
        models = {
            family: fit.fit_model(
                family, pipeline, options, plan.contract, material, split, scores[family]
            )
            for family, pipeline in pipelines.items()
        }
        return scores, models, plan, frame

    scores, models, plan, frame = fitted()
    own.sql(
        "update gold.churn_labels set is_churn = "
        f"(hash(customer_id, as_of_date) % 2 = 0) where as_of_date = '{plan.split.folds[-1].name}'"
    )
    other_scores, others, _, _ = fitted()
    for family, model in models.items():
        other = others[family]
        np.testing.assert_array_equal(other_scores[family], scores[family])
        assert np.abs(other.raw_score(frame) - model.raw_score(frame)).max() > 0.01
        at = np.linspace(-4, 1, 20)
        moved = other.calibrator.probability(at) - model.calibrator.probability(at)
        assert np.abs(moved).max() > 0.01


@pytest.mark.parametrize(("power", "ratio"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0)])
def test_the_weights_of_tiers_are_raised_to_the_power_set(own, monkeypatch, power, ratio):
    seen = []
    plain = fit.fit_pipeline

    def spy(pipeline, frame, target, weight):
        seen.append(weight)
        return plain(pipeline, frame, target, weight)

    monkeypatch.setattr(fit, "fit_pipeline", spy)
    own.sql(
        "update gold.customer_360 set sample_weight = case when customer_id < 'c00100' then 9 "
        "else 1 end"
    )
    training.train(own.with_settings(train={"sample_weight_power": power}).settings)
    assert [weight.max() / weight.min() for weight in seen] == pytest.approx([ratio] * len(seen))
    # Two families on the rows of the one fold, and the chosen one on all rows.
    assert len(seen) == 3


def _key(company):
    with DuckDBWarehouse.open(company.settings.warehouse_path, read_only=True) as warehouse:
        return make_plan(company.settings, warehouse).training_key


def test_a_training_cut_off_is_mended_by_the_next(own):
    first = training.train(own.settings)
    whole = {name: rows for name, rows in ml_state(own).items() if name != "alias_history"}
    own.sql(
        "delete from ml.model_versions",
        "delete from ml.evaluations",
        "delete from ml.training_sets",
        "delete from ml.alias_history",
    )
    assert not training.is_current(own.settings)
    again = training.train(own.settings)
    assert not again.is_new
    assert again.is_champion
    state = ml_state(own)
    assert {name: state[name] for name in whole} == whole
    assert own.sql("select alias, to_version from ml.alias_history order by alias") == [
        ("candidate", first.model_version),
        ("champion", first.model_version),
    ]


def test_a_registry_that_was_removed_starts_anew(own):
    training.train(own.settings)
    first = scoring.score(own.settings)
    shutil.rmtree(own.settings.artifact_root)
    shutil.copy(blank_store(), own.settings.local_dir / "mlflow.db")
    again = training.train(own.settings)
    assert (again.is_new, again.model_version, again.is_champion) == (True, 1, True)
    assert own.sql("select model_version, run_id from ml.model_versions") == [(1, again.run_id)]
    second = scoring.score(own.settings)
    assert second.is_new
    assert own.sql("select distinct run_id from ml.predictions") == [(second.run_id,)]
    assert second.run_id != first.run_id


def test_a_failure_while_registering_leaves_nothing_behind(own, monkeypatch):
    def fail(*arguments, **options):
        raise HoldfastError("the disk is full")

    monkeypatch.setattr(Registry, "register", fail)
    with pytest.raises(HoldfastError, match="disk is full"):
        training.train(own.settings)
    assert nothing_written(own, but=("check_results",))
    assert store_of(own).champion("churn") is None
    monkeypatch.undo()
    assert training.train(own.settings).is_champion


def test_new_gold_rows_make_a_new_version_and_new_predictions(own):
    training.train(own.settings)
    scoring.score(own.settings)
    own.sql(
        "update gold.customer_360 set logins_30d = logins_30d + 1 where customer_id = 'c00001'",
        "update gold.fingerprints set fingerprint = md5(fingerprint)",
    )
    assert not training.is_current(own.settings)
    assert not scoring.is_current(own.settings)
    second = training.train(own.settings)
    assert (second.model_version, second.is_new) == (2, True)
    changes = own.sql(
        "select from_version, to_version from ml.alias_history where alias = 'champion' "
        "order by changed_at"
    )
    assert changes[1:] == ([(1, 2)] if second.is_champion else [])
    assert scoring.score(own.settings).is_new
    assert own.sql(
        "select count(*), count(distinct (customer_id, as_of_date, model_version)) "
        "from ml.predictions"
    )[0][0] in (300, 600)


def test_a_feature_gone_or_changed_is_an_error_that_names_it(own):
    training.train(own.settings)
    own.sql(
        "drop view gold.training_set",
        "alter table gold.customer_360 drop column logins_30d",
        "alter table gold.customer_360 alter mrr type bigint",
    )
    with pytest.raises(ContractError, match="'mrr' should be decimal.*and is bigint.*'logins_30d'"):
        scoring.score(own.settings)
    assert nothing_written(own, but=ML_TABLES[2:])


def test_a_feature_of_the_contract_that_gold_lacks_stops_training(own):
    features = {"profile": {"company_size": "integer"}}
    own.settings.manifest_path.write_text(json.dumps(manifest(features)))
    with pytest.raises(ContractError, match="'company_size' .integer. is missing"):
        training.train(own.settings)
    assert nothing_written(own)


# -- what the data cannot carry ----------------------------------------------------------------


def test_noise_is_registered_but_not_published(tmp_path):
    company = build_company(tmp_path / "company", customers=300, months=10, signal=0.0)
    result = training.train(company.settings)
    assert not result.is_champion
    assert result.verdict.startswith("The model is not promoted: ")
    assert "beats_recency (average precision" in result.verdict
    assert company.sql("select count(*) from ml.model_versions") == [(1,)]
    assert company.sql("select alias from ml.alias_history") == [("candidate",)]
    assert not scoring.has_champion(company.settings)
    with pytest.raises(HoldfastError, match="Expected a champion of the model 'churn', found none"):
        scoring.score(company.settings)
    assert company.sql("select count(*) from ml.predictions") == [(0,)]
    assert training.is_current(company.settings)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Return a company for errors that come before anything is written."""
    return build_company(tmp_path_factory.mktemp("broken") / "company", customers=300, months=10)


def fails_with(company, message, *statements, error=DataError):
    path = company.settings.warehouse_path
    kept = path.with_suffix(".kept")
    shutil.copy(path, kept)
    try:
        company.sql(*statements)
        with pytest.raises(error, match=message):
            training.train(company.settings)
        assert nothing_written(company, but=("check_results",))
    finally:
        shutil.copy(kept, path)


def test_one_class_is_an_error(broken):
    fails_with(
        broken,
        "both churned and retained customers in the rows for fitting.*0 churned",
        "update gold.churn_labels set is_churn = false",
    )


def test_no_label_yet_is_an_error(broken):
    fails_with(
        broken,
        "No label is mature yet",
        "update gold.churn_labels set is_label_available = false",
    )


def test_a_horizon_longer_than_the_data_is_an_error(broken):
    fails_with(
        broken,
        "horizon is longer than the data",
        "update gold.churn_labels set is_label_available = false",
        "update silver.clock set data_from = data_until - interval 20 day",
    )


def test_no_customer_is_an_error(broken):
    fails_with(
        broken,
        "Expected customers to learn from, found no observation",
        "delete from gold.churn_labels",
        "delete from gold.customer_360",
    )


def test_too_little_history_is_an_error(broken):
    fails_with(
        broken,
        "label was known by .*found none",
        "delete from gold.churn_labels where as_of_date < '2023-04-01'",
    )


def test_too_few_rows_are_an_error(broken):
    fails_with(
        broken,
        "at least 200 rows to fit",
        "delete from gold.churn_labels where substr(customer_id, 5) > '2'",
    )


def test_an_empty_clock_is_an_error(broken):
    fails_with(broken, "silver.clock", "delete from silver.clock")


def test_a_date_without_fingerprint_is_an_error(broken):
    fails_with(
        broken,
        "fingerprint .* for 2023-01-01",
        "delete from gold.fingerprints where as_of_date = '2023-01-01'",
        error=ContractError,
    )


def test_a_matrix_that_fails_its_check_stops_the_run_and_keeps_the_results(broken):
    path = broken.settings.reports_dir / "check_training_matrix.json"
    fails_with(
        broken,
        r"failed 1 of .*between\(sample_weight\): 1 unexpected",
        "update gold.customer_360 set sample_weight = 0 "
        "where customer_id = 'c00007' and as_of_date = '2023-02-01'",
        error=ContractError,
    )
    assert not json.loads(path.read_text())["is_success"]
    store = store_of(broken)
    assert store.champion("churn") is None
    experiment = store._client.get_experiment_by_name("churn")
    (run,) = store._client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("command", [scoring.score, scoring.is_current, evaluate])
def test_an_absent_warehouse_is_told_before_the_registry_is_set_up(command, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the registry was set up first")

    monkeypatch.setattr(Registry, "__init__", refuse)
    (tmp_path / "dbt_project.yml").write_text("name: company\nprofile: company\n")
    with pytest.raises(HoldfastError, match="There is no warehouse at .*Build it first"):
        command(load_settings(tmp_path))


def test_an_absent_manifest_is_an_error(broken):
    path = broken.settings.manifest_path
    kept = path.read_text()
    path.unlink()
    try:
        with pytest.raises(DataError, match="dbt build"):
            training.train(broken.settings)
    finally:
        path.write_text(kept)


# -- the demo's truth --------------------------------------------------------------------------


def test_the_truth_is_reported_beside_the_model_and_never_used(tmp_path):
    company = build_company(tmp_path / "company", customers=300, months=10)
    rows = company.sql("select customer_id, as_of_date, is_churn from gold.churn_labels")
    rng = np.random.default_rng(0)
    probability = np.array([0.3 * churned for *_, churned in rows]) + 0.5 * rng.random(len(rows))
    truth = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "as_of_date": pa.array([row[1] for row in rows], pa.date32()),
            "churn_probability_horizon": probability,
        }
    )
    without = training.train(company.settings).record
    assert without.truth is None
    company.settings.truth_dir.mkdir(parents=True)
    pq.write_table(truth, company.settings.truth_dir / "monthly_churn.parquet")
    other = company.with_settings(train={"capacity_share": 0.11})
    record = training.train(other.settings).record
    inside = [record.test_from <= day <= record.test_to for _, day, _ in rows]
    target = np.array([churned for *_, churned in rows], dtype=float)[inside]
    assert record.truth.observations == record.test_rows == sum(inside)
    assert record.truth.of_truth["average_precision"] == pytest.approx(
        average_precision_score(target, probability[inside])
    )
    expected = roc_auc_score(target, probability[inside])
    assert record.truth.of_truth["roc_auc"] == pytest.approx(expected)
    reported = {
        each.metric: each.value
        for each in record.evaluations
        if each.estimator == record.estimator and each.segment_type == "overall"
        if each.split == "test"
    }
    assert record.truth.of_model == pytest.approx(reported)
    assert record.standings == without.standings
