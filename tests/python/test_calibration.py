import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from ml.calibration import fit_calibrator


def made(count, slope=1.0, intercept=-1.0, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=count)
    target = (rng.random(count) < expit(slope * score + intercept)).astype(float)
    return score, target


def test_sigmoid_finds_the_odds_that_made_the_rows():
    score, target = made(20_000, slope=1.7, intercept=-2.0)
    calibrator = fit_calibrator(score, target, "sigmoid")
    at = np.array([-1.0, 0.0, 1.0])
    assert calibrator.probability(at) == pytest.approx(expit(1.7 * at - 2), abs=0.02)


def test_isotonic_agrees_with_scikit_learn():
    score, target = made(3000)
    calibrator = fit_calibrator(score, target, "isotonic")
    plain = IsotonicRegression(out_of_bounds="clip").fit(score, target).predict(score)
    assert calibrator.probability(score) == pytest.approx(plain, abs=0.5 / 3000 + 1e-12)


@given(method=st.sampled_from(["isotonic", "sigmoid"]), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_probabilities_never_fall_and_never_reach_0_or_1(method, seed):
    score, target = made(60, slope=4.0, intercept=0.0, seed=seed)
    target[:2] = [0, 1]
    calibrator = fit_calibrator(score, target, method)
    probability = calibrator.probability(np.linspace(-10, 10, 500))
    assert (np.diff(probability) >= 0).all()
    assert probability.min() > 0
    assert probability.max() < 1


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_calibrated_rows_have_their_own_churn_rate(method):
    score, target = made(5000)
    probability = fit_calibrator(score, target, method).probability(score)
    assert probability.mean() == pytest.approx(target.mean(), abs=2e-3)


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_a_score_that_ranks_backwards_is_not_turned_round(method):
    score, target = made(3000, slope=-2.0)
    probability = fit_calibrator(score, target, method).probability(score)
    assert (np.diff(probability[np.argsort(score)]) >= -1e-12).all()
    # Isotonic keeps a little at the very ends, where few rows stand.
    assert np.ptp(np.quantile(probability, [0.05, 0.95])) < 0.02


def test_separable_rows_give_a_finite_slope():
    score = np.arange(20.0)
    calibrator = fit_calibrator(score, (score > 9).astype(float), "sigmoid")
    probability = calibrator.probability(score)
    assert 0.02 < probability[0] < probability[-1] < 0.98


@pytest.mark.parametrize(
    ("churned", "retained", "method"),
    [
        (100, 900, "isotonic"),
        (99, 901, "sigmoid"),
        (100, 899, "sigmoid"),
        (900, 100, "isotonic"),
        (901, 99, "sigmoid"),
    ],
)
def test_auto_wants_enough_rows_of_both_classes(churned, retained, method):
    target = np.r_[np.ones(churned), np.zeros(retained)]
    assert fit_calibrator(np.arange(target.size), target, "auto").method == method


@pytest.mark.parametrize(
    ("bend", "method"),
    [
        (lambda score: score, "none"),
        (lambda score: 3 * score - 1, "sigmoid"),
        (lambda score: np.where(score > 0, 3.0, -0.5) + score / 100, "isotonic"),
    ],
)
def test_auto_takes_what_told_the_later_rows_best(bend, method):
    score, _ = made(20_000)
    target = (np.random.default_rng(1).random(score.size) < expit(bend(score))).astype(float)
    order = np.repeat([3, 1, 2, 4], 5000)
    assert fit_calibrator(score, target, "auto", order).method == method


def test_auto_does_not_choose_by_a_few_later_churners():
    score, target = made(20_000)
    order = np.zeros(20_000, dtype=int)
    order[:150] = 1
    assert fit_calibrator(score, target, "auto", order).method == "isotonic"


def test_no_calibration_gives_the_scores_own_odds():
    score, target = made(500)
    calibrator = fit_calibrator(score, target, "none")
    np.testing.assert_allclose(calibrator.probability(score), expit(score))


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match="'platt'"):
        fit_calibrator(*made(50), "platt")
