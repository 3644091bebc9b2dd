import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml import baselines, estimators, families
from ml.baselines import BaseRate, RecencyAlone
from ml.estimators import ChurnModel
from ml.families import LIGHTGBM
from ml.families.boosting import BoostedTrees, boosting_params
from ml.families.encode import encoded_sources, signed_log
from ml.families.protocol import fit_pipeline

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


OPTIONS = {
    LIGHTGBM: PARAMS,
    "logistic_regression": {"C": 1.0, "max_iter": 100},
    "hist_gradient_boosting": {"max_iter": 30, "max_leaf_nodes": 8},
    "random_forest": {"n_estimators": 20, "min_samples_leaf": 10, "max_features": 0.6},
    "neural_network": {"hidden_layer_sizes": [8], "alpha": 0.1, "max_iter": 100},
    "xgboost": {"n_estimators": 30, "max_depth": 3, "nthread": 1},
    "catboost": {"iterations": 30, "depth": 3, "thread_count": 1},
}
LIBRARIES = {"xgboost": "xgboost", "catboost": "catboost"}


def fitted(family, frame, target, weight=None, seed=3, params=None):
    if family in LIBRARIES:
        pytest.importorskip(LIBRARIES[family], reason="the extra `boosters` is not installed")
    rng = np.random.default_rng(seed)
    pipeline = families.build(family, TYPES, params or OPTIONS[family], rng)
    fit_pipeline(pipeline, frame, target, weight)
    return ChurnModel(family, TYPES, "hash", pipeline, None)


every_family = pytest.mark.parametrize("family", families.ALL_FAMILIES)


@every_family
def test_a_family_learns(family):
    frame, target = made()
    later, happened = made(seed=1)
    assert roc_auc_score(happened, fitted(family, frame, target).raw_score(later)) > 0.7


@every_family
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


def test_bags_see_so_many_rows_together():
    rng = np.random.default_rng(0)
    encoded, target = rng.normal(size=(300, 2)), (rng.random(300) < 0.3).astype(float)
    for most_rows, boosters in ((1200, 4), (899, 2), (600, 2), (599, 1), (1, 1)):
        params = {"n_estimators": 2, "bag_rows": most_rows, "bags": 4, "n_jobs": 1}
        trees = BoostedTrees(params, (), (1, 2, 3, 4)).fit(encoded, target)
        assert len(trees.boosters_) == boosters


def test_bags_differ_in_their_seed():
    frame, target = made()
    boosters = fitted("lightgbm", frame, target).classifier.boosters_
    assert boosters[0].model_to_string() != boosters[1].model_to_string()


@every_family
def test_unseen_and_null_categories_are_scored(family):
    frame, target = made()
    model = fitted(family, frame, target)
    odd = frame.head(3).copy()
    odd["plan"] = pd.Series(["never seen", None, "basic"], dtype=object)
    assert np.isfinite(model.raw_score(odd)).all()


@every_family
def test_all_null_rows_are_scored(family):
    frame, target = made()
    model = fitted(family, frame, target)
    nothing = frame.head(2).copy()
    for name in nothing.columns:
        nothing[name] = None if name == "plan" else np.nan
    assert np.isfinite(model.raw_score(nothing)).all()


@every_family
def test_a_row_is_scored_alone_as_among_others(family):
    frame, target = made()
    model = fitted(family, frame, target)
    alone = np.concatenate([model.raw_score(frame.iloc[[row]]) for row in range(20)])
    np.testing.assert_allclose(alone, model.raw_score(frame)[:20], rtol=0, atol=1e-12)


@every_family
def test_columns_are_found_by_name(family):
    frame, target = made()
    model = fitted(family, frame, target)
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(model.raw_score(turned), model.raw_score(frame))


@every_family
def test_an_absent_feature_is_an_error(family):
    frame, target = made()
    model = fitted(family, frame, target)
    with pytest.raises(ValueError, match="logins"):
        model.raw_score(frame.drop(columns="logins"))


@every_family
def test_weights_count_and_their_scale_does_not(family):
    frame, target = made()
    weight = np.where(frame["logins"] > 4, 10.0, 1.0)
    plain = fitted(family, frame, target).raw_score(frame)
    weighted = fitted(family, frame, target, weight).raw_score(frame)
    scaled = fitted(family, frame, target, weight * 100).raw_score(frame)
    assert np.abs(plain - weighted).max() > 0.01
    np.testing.assert_allclose(weighted, scaled, atol=1e-8)


@every_family
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
    expected = np.nanmedian(signed_log(frame["amount"].to_numpy()))
    assert medians[1] == pytest.approx(expected)
    later, _ = made(seed=9)
    model.raw_score(later)
    assert numbers.named_steps["impute"].statistics_[1] == medians[1]


@every_family
def test_every_encoded_column_has_its_feature(family):
    frame, target = made()
    model = fitted(family, frame, target)
    sources = encoded_sources(model.pipeline)
    assert len(sources) == model.encode(frame.head(1)).shape[1]
    assert set(sources) == set(TYPES)
    # Changing one feature changes the columns that it is the source of, and no other.
    for name, value in {"logins": 40.0, "amount": np.nan, "flag": np.nan, "plan": "basic"}.items():
        rows = frame[frame["plan"] == "pro"].head(1).assign(amount=7.0, flag=1.0)
        other = rows.assign(**{name: pd.Series([value], index=rows.index, dtype=rows[name].dtype)})
        same = np.isclose(model.encode(rows), model.encode(other), equal_nan=True)[0]
        changed = {source for source, is_same in zip(sources, same, strict=True) if not is_same}
        assert changed == {name}


@every_family
def test_importance_is_a_share_and_finds_what_drives(family):
    frame, target = made()
    found = estimators.importance(fitted(family, frame, target))
    assert sum(found.shares) == pytest.approx(1)
    assert list(found.shares) == sorted(found.shares, reverse=True)
    assert set(found.features) == set(TYPES)
    assert "logins" in found.features[: 2 if family == "neural_network" else 1]
    # Splits on the many values of an amount gain a little each, which trees add up.
    assert "plan" in found.features[: 2 if family == "logistic_regression" else 3]
    assert found.shares[found.features.index("empty")] == 0


def test_smallest_leaf_grows_with_the_rows():
    params = {"min_child_samples": 30, "min_child_ratio": 0.01, "bags": 3}
    assert boosting_params(params, rows=1000)["min_child_samples"] == 30
    assert boosting_params(params, rows=100_000)["min_child_samples"] == 1000
    assert "bags" not in boosting_params(params, rows=10)


def test_signed_log_keeps_sign_order_and_null():
    values = signed_log(np.array([-10.0, 0.0, 10.0, np.nan]))
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
    assert baselines.recency_feature(frame) == "days_since_last_order"
    frame["days_since_last_activity"] = 1.0
    assert baselines.recency_feature(frame) == "days_since_last_activity"
    assert baselines.recency_feature(frame[[]]) is None


def test_the_base_rate_is_the_rate():
    baseline = BaseRate.fit(np.array([1.0, 0, 0, 0]))
    assert baseline.probability(2).tolist() == [0.25, 0.25]
