import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml import estimators
from ml.estimators import BaseRate, ChurnModel, RecencyAlone

TYPES = {
    "plan": "varchar",
    "logins": "integer",
    "amount": "decimal(18,2)",
    "empty": "bigint",
    "flag": "boolean",
}
PARAMS = {
    "bags": 2,
    "n_estimators": 30,
    "learning_rate": 0.1,
    "num_leaves": 8,
    "min_child_samples": 20,
    "subsample": 0.7,
    "subsample_freq": 1,
    "colsample_bytree": 0.6,
    "n_jobs": 1,
}


def made(count=1200, seed=0):
    rng = np.random.default_rng(seed)
    logins = rng.poisson(4, count).astype(float)
    plan = rng.choice(["basic", "plus", "pro"], count)
    amount = np.where(rng.random(count) < 0.2, np.nan, np.exp(rng.normal(5, 2, count)))
    odds = -1 - 0.4 * (logins - 4) + 1.2 * (plan == "basic") + 0.5 * np.isnan(amount)
    frame = pd.DataFrame(
        {
            "logins": logins,
            "amount": amount,
            "empty": np.full(count, np.nan),
            "flag": np.where(rng.random(count) < 0.1, np.nan, rng.random(count) < 0.5),
            "plan": pd.Series(np.where(rng.random(count) < 0.05, None, plan), dtype=object),
        }
    )
    target = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(float)
    return frame, target


def fitted(family, frame, target, weight=None, seed=3, params=PARAMS):
    pipeline = (
        estimators.build_lightgbm(TYPES, params, np.random.default_rng(seed))
        if family == "lightgbm"
        else estimators.build_logistic(TYPES, {"C": 1.0, "max_iter": 100})
    )
    estimators.fit_pipeline(pipeline, frame, target, weight)
    return ChurnModel(family, TYPES, "hash", pipeline, None)


families = pytest.mark.parametrize("family", estimators.FAMILIES)


@families
def test_a_family_learns(family):
    frame, target = made()
    later, happened = made(seed=1)
    assert roc_auc_score(happened, fitted(family, frame, target).raw_score(later)) > 0.7


@families
def test_the_same_rows_and_seed_give_the_same_scores(family):
    frame, target = made()
    one, two = (fitted(family, frame, target).raw_score(frame) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_trees_are_the_same_for_any_number_of_threads():
    frame, target = made()
    one, two = (
        fitted("lightgbm", frame, target, params={**PARAMS, "n_jobs": jobs}).raw_score(frame)
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_bags_differ_in_their_seed():
    frame, target = made()
    boosters = fitted("lightgbm", frame, target).classifier.boosters_
    assert boosters[0].model_to_string() != boosters[1].model_to_string()


@families
def test_unseen_and_null_categories_are_scored(family):
    frame, target = made()
    model = fitted(family, frame, target)
    odd = frame.head(3).copy()
    odd["plan"] = pd.Series(["never seen", None, "basic"], dtype=object)
    assert np.isfinite(model.raw_score(odd)).all()


@families
def test_all_null_rows_are_scored(family):
    frame, target = made()
    model = fitted(family, frame, target)
    nothing = frame.head(2).copy()
    for name in nothing.columns:
        nothing[name] = None if name == "plan" else np.nan
    assert np.isfinite(model.raw_score(nothing)).all()


@families
def test_a_row_is_scored_alone_as_among_others(family):
    frame, target = made()
    model = fitted(family, frame, target)
    alone = np.concatenate([model.raw_score(frame.iloc[[row]]) for row in range(20)])
    np.testing.assert_allclose(alone, model.raw_score(frame)[:20], rtol=0, atol=1e-12)


@families
def test_columns_are_found_by_name(family):
    frame, target = made()
    model = fitted(family, frame, target)
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(model.raw_score(turned), model.raw_score(frame))


@families
def test_an_absent_feature_is_an_error(family):
    frame, target = made()
    model = fitted(family, frame, target)
    with pytest.raises(ValueError, match="logins"):
        model.raw_score(frame.drop(columns="logins"))


@families
def test_weights_count_and_their_scale_does_not(family):
    frame, target = made()
    weight = np.where(frame["logins"] > 4, 10.0, 1.0)
    plain = fitted(family, frame, target).raw_score(frame)
    weighted = fitted(family, frame, target, weight).raw_score(frame)
    scaled = fitted(family, frame, target, weight * 100).raw_score(frame)
    assert np.abs(plain - weighted).max() > 0.01
    np.testing.assert_allclose(weighted, scaled, atol=1e-8)


@families
def test_a_model_survives_storage(family):
    frame, target = made()
    model = fitted(family, frame, target)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.raw_score(frame), model.raw_score(frame))


def test_logistic_regression_knows_medians_of_its_training_rows_alone():
    frame, target = made()
    model = fitted("logistic_regression", frame, target)
    numbers = model.pipeline.named_steps["encode"].named_transformers_["numbers"]
    medians = numbers.named_steps["impute"].statistics_
    expected = np.nanmedian(estimators.signed_log(frame["amount"].to_numpy()))
    assert medians[1] == pytest.approx(expected)
    later, _ = made(seed=9)
    model.raw_score(later)
    assert numbers.named_steps["impute"].statistics_[1] == medians[1]


@families
def test_every_encoded_column_has_its_feature(family):
    frame, target = made()
    model = fitted(family, frame, target)
    sources = estimators.encoded_sources(model.pipeline)
    assert len(sources) == model.encode(frame.head(1)).shape[1]
    assert set(sources) == set(TYPES)
    # Changing one feature changes the columns that it is the source of, and no other.
    for name, value in {"logins": 40.0, "amount": np.nan, "flag": np.nan, "plan": "basic"}.items():
        rows = frame[frame["plan"] == "pro"].head(1).assign(amount=7.0, flag=1.0)
        other = rows.assign(**{name: pd.Series([value], index=rows.index, dtype=rows[name].dtype)})
        same = np.isclose(model.encode(rows), model.encode(other), equal_nan=True)[0]
        changed = {source for source, is_same in zip(sources, same, strict=True) if not is_same}
        assert changed == {name}


@families
def test_importance_is_a_share_and_finds_what_drives(family):
    frame, target = made()
    found = estimators.importance(fitted(family, frame, target))
    assert sum(found.shares) == pytest.approx(1)
    assert list(found.shares) == sorted(found.shares, reverse=True)
    assert set(found.features) == set(TYPES)
    assert found.features[0] == "logins"
    assert family == "lightgbm" or found.features[1] == "plan"
    assert found.shares[found.features.index("empty")] == 0


def test_smallest_leaf_grows_with_the_rows():
    params = {"min_child_samples": 30, "min_child_ratio": 0.01, "bags": 3}
    assert estimators.boosting_params(params, rows=1000)["min_child_samples"] == 30
    assert estimators.boosting_params(params, rows=100_000)["min_child_samples"] == 1000
    assert "bags" not in estimators.boosting_params(params, rows=10)


def test_signed_log_keeps_sign_order_and_null():
    values = estimators.signed_log(np.array([-10.0, 0.0, 10.0, np.nan]))
    np.testing.assert_allclose(values, [-np.log(11), 0, np.log(11), np.nan])


def test_recency_ranks_by_days_with_null_last():
    days = np.array([1.0, 5.0, 5.0, 30.0, np.nan])
    target = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    baseline = RecencyAlone.fit("days_since_last_activity", days, target)
    assert baseline.score(days).tolist() == [1, 5, 5, 30, 31]
    assert baseline.probability(days).tolist() == [0, 0.5, 0.5, 1, 1]
    assert baseline.score(np.array([np.nan])).tolist() == [31]


def test_recency_that_ranks_backwards_is_not_turned_round():
    days = np.arange(100.0)
    baseline = RecencyAlone.fit("days_since_last_order", days, (days < 50).astype(float))
    assert np.ptp(baseline.probability(days)) == pytest.approx(0)


def test_the_recency_feature_is_the_first_that_has_values():
    frame = pd.DataFrame({"days_since_last_activity": [np.nan], "days_since_last_order": [3.0]})
    assert estimators.recency_feature(frame) == "days_since_last_order"
    frame["days_since_last_activity"] = 1.0
    assert estimators.recency_feature(frame) == "days_since_last_activity"
    assert estimators.recency_feature(frame[[]]) is None


def test_the_base_rate_is_the_rate():
    baseline = BaseRate.fit(np.array([1.0, 0, 0, 0]))
    assert baseline.probability(2).tolist() == [0.25, 0.25]
