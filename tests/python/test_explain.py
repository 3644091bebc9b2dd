from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from test_estimators import PARAMS, TYPES, every_family, fitted, made

from ml import explain


@every_family
def test_contributions_and_base_add_up_to_the_score(family):
    frame, target = made()
    model = fitted(family, frame, target)
    parts = explain.contributions(model, frame)
    assert parts.features == tuple(TYPES)
    assert parts.values.shape == (len(frame), len(TYPES))
    np.testing.assert_allclose(parts.raw_score, model.raw_score(frame), atol=1e-9)


@every_family
def test_contributions_do_not_depend_on_how_rows_are_cut(family, monkeypatch):
    frame, target = made()
    model = fitted(family, frame, target)
    whole = explain.contributions(model, frame)
    monkeypatch.setattr(explain, "_ROWS_AT_ONCE", 500)
    cut = explain.contributions(model, frame)
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-12)


def test_linear_contributions_measure_from_the_average_row():
    frame, target = made()
    model = fitted("logistic_regression", frame, target)
    parts = explain.contributions(model, frame)
    np.testing.assert_allclose(parts.values.mean(axis=0), 0, atol=1e-9)
    logins = list(TYPES).index("logins")
    more = explain.contributions(model, frame.assign(logins=frame["logins"] + 1))
    others = np.delete(more.values - parts.values, logins, axis=1)
    np.testing.assert_allclose(others, 0, atol=1e-12)
    # Each login more lowers the risk.
    assert (more.values[:, logins] < parts.values[:, logins]).all()


def test_tree_contributions_are_shapley_values():
    frame, target = made()
    stump = {**PARAMS, "bags": 1, "n_estimators": 1, "num_leaves": 2, "colsample_bytree": 1}
    model = fitted("lightgbm", frame, target, params=stump)
    parts = explain.contributions(model, frame)
    score = model.raw_score(frame)
    # One split on one feature: the whole distance from the mean leaf is that feature's.
    used = np.flatnonzero(np.abs(parts.values).sum(axis=0))
    assert used.size == 1
    np.testing.assert_allclose(parts.values[:, used[0]], score - parts.base, atol=1e-12)
    assert parts.base.std() == pytest.approx(0)
    assert score.min() < parts.base[0] < score.max()


def test_a_feature_the_model_cannot_use_contributes_nothing():
    frame, target = made()
    model = fitted("lightgbm", frame, target)
    parts = explain.contributions(model, frame)
    assert (parts.values[:, list(TYPES).index("empty")] == 0).all()
    assert explain.used_features(model) == 4


def test_reasons_that_raise_come_first_and_each_by_size():
    values = np.array([[0.5, -2.0, 0.0, 1.5, -0.1], [-1.0, -3.0, -0.5, 0.0, 0.0]])
    top = explain.top_reasons(values, 3)
    assert top.feature[0].tolist() == [3, 0, 1]
    assert top.contribution[0].tolist() == [1.5, 0.5, -2.0]
    assert top.feature[1].tolist() == [1, 0, 2]


def test_top_reasons_agree_with_sorting_every_row():
    values = np.random.default_rng(0).normal(size=(200, 30)) * (np.arange(30) % 3)
    top = explain.top_reasons(values, 7)
    for row, contributions in enumerate(values):
        expected = sorted(contributions, key=lambda value: (value <= 0, -abs(value)))[:7]
        assert top.contribution[row].tolist() == expected


def test_no_more_reasons_than_features():
    assert explain.top_reasons(np.ones((2, 2)), 5).feature.shape == (2, 2)


def test_reasons_carry_the_values_as_text_and_leave_out_nothings():
    rows = pa.record_batch(
        {
            "a": pa.array([Decimal("1.50"), None], pa.decimal128(18, 2)),
            "b": pa.array(["x", "y"]),
            "c": pa.array([True, False]),
        }
    )
    values = np.array([[0.1, 0.0, 0.7], [0.2, 0.9, -0.3]])
    found = explain.reason_columns(rows, ("a", "b", "c"), explain.top_reasons(values, 3))
    assert found["row"].tolist() == [0, 0, 1, 1, 1]
    assert found["reason_rank"].to_pylist() == [1, 2, 1, 2, 3]
    assert found["feature"].to_pylist() == ["c", "a", "b", "a", "c"]
    assert found["feature_value"].to_pylist() == ["true", "1.5", "y", None, "false"]
    assert found["contribution"].to_pylist() == [0.7, 0.1, 0.9, 0.2, -0.3]


def test_no_reason_at_all_is_no_row():
    rows = pa.record_batch({"a": pa.array([1, 2])})
    found = explain.reason_columns(rows, ("a",), explain.top_reasons(np.zeros((2, 1)), 3))
    assert [len(column) for column in found.values()] == [0] * 5
