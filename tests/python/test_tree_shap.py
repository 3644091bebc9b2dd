"""TreeSHAP by tables is LightGBM's own, and Shapley's values by the letter."""

from itertools import permutations

import lightgbm
import numpy as np
import pytest

from ml.families import tree_shap

ROWS, COLUMNS = 3_000, 9


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(5)
    encoded = chance.normal(size=(ROWS, COLUMNS)).round(1)
    # Null in some columns; 6 had none in training; 7 and 8 are codes of categories.
    encoded[:, :4][chance.random((ROWS, 4)) < 0.2] = np.nan
    encoded[:, 7] = chance.integers(0, 9, ROWS)
    encoded[:, 8] = chance.integers(0, 4, ROWS)
    encoded[:200, 8] = np.nan
    known = np.nan_to_num(encoded)
    target = known[:, 0] + known[:, 1] * known[:, 2] + (known[:, 7] % 3 == 1) + (known[:, 8] == 2)
    return encoded, (target + chance.normal(size=ROWS) > 1.2).astype(float)


def fitted(rows: tuple[np.ndarray, np.ndarray], **params: object) -> lightgbm.Booster:
    encoded, target = rows
    dataset = lightgbm.Dataset(encoded, label=target, categorical_feature=[7, 8])
    options = {"objective": "binary", "verbosity": -1, "bagging_fraction": 0.8, "bagging_freq": 1}
    return lightgbm.train({**options, **params}, dataset, num_boost_round=40)


def unseen(rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rows that training had not: null everywhere, categories that are new, values on edges."""
    chance = np.random.default_rng(6)
    encoded = rows[0].copy()
    encoded[chance.random(encoded.shape) < 0.1] = np.nan
    encoded[:50, 7] = 40
    encoded[50:100] = np.nan
    encoded[100:150] = 0
    return encoded


@pytest.mark.parametrize("leaves", [2, 8, 9])
def test_equal_to_lightgbms_own(rows, leaves: int) -> None:
    booster = fitted(rows, num_leaves=leaves, max_depth=4)
    trees = tree_shap.tabulate(booster)
    encoded = unseen(rows)
    expected = booster.predict(encoded, pred_contrib=True)
    np.testing.assert_allclose(
        tree_shap.contributions(trees, encoded, 2), expected, rtol=0, atol=1e-12
    )
    assert any(node.categories for tree in trees for node in tree.nodes)


def test_large_trees_are_left_alone(rows) -> None:
    assert tree_shap.tabulate(fitted(rows, num_leaves=31)) is None


def test_a_tree_of_one_leaf_is_all_base(rows) -> None:
    booster = fitted(rows, num_leaves=8, min_data_in_leaf=ROWS)
    trees = tree_shap.tabulate(booster)
    found = tree_shap.contributions(trees, rows[0][:5], 1)
    np.testing.assert_allclose(found, booster.predict(rows[0][:5], pred_contrib=True))
    assert not found[:, :-1].any()


def test_rows_do_not_depend_on_their_neighbours_or_threads(rows, monkeypatch) -> None:
    trees = tree_shap.tabulate(fitted(rows, num_leaves=8))
    encoded = unseen(rows)
    whole = tree_shap.contributions(trees, encoded, 1)
    monkeypatch.setattr(tree_shap, "_ROWS_AT_ONCE", 37)
    np.testing.assert_array_equal(whole, tree_shap.contributions(trees, encoded, 3))


def test_shapley_values_are_means_over_all_orders() -> None:
    chance = np.random.default_rng(7)
    players = 4
    value = chance.normal(size=(2**players, 3))
    expected = np.zeros((players, 3))
    orders = list(permutations(range(players)))
    for order in orders:
        there = 0
        for player in order:
            expected[player] += value[there | 1 << player] - value[there]
            there |= 1 << player
    np.testing.assert_allclose(tree_shap._shapley(value, players), expected / len(orders))
