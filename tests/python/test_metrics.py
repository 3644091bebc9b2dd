from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from ml import metrics
from ml.metrics import METRICS, Forecast, Outcomes


def made(count=400, *, ties=True, seed=0):
    rng = np.random.default_rng(seed)
    target = (rng.random(count) < 0.2).astype(float)
    score = target + rng.normal(size=count)
    score = np.round(score, 1) if ties else score
    outcomes = Outcomes(
        target=target,
        days_to_churn=np.where(target > 0, rng.integers(0, 90, count), np.nan),
        monthly_revenue=rng.integers(100, 10_000, count).astype(float),
        customer=rng.integers(0, count // 3, count),
    )
    probability = 1 / (1 + np.exp(-score))
    return outcomes, Forecast(score, probability, probability / 2)


small_rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30
).filter(lambda rows: 0 < sum(row[0] * row[2] for row in rows) < sum(row[2] for row in rows))


@given(rows=small_rows)
@settings(max_examples=200, deadline=None)
def test_ranking_metrics_agree_with_scikit_learn_under_ties_and_weights(rows):
    target, score, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert metrics.average_precision(target, score, weight) == pytest.approx(
        average_precision_score(target, score, sample_weight=weight)
    )
    assert metrics.roc_auc(target, score, weight) == pytest.approx(
        roc_auc_score(target, score, sample_weight=weight)
    )


def test_unweighted_metrics_agree_with_scikit_learn():
    outcomes, forecast = made()
    target, score = outcomes.target, forecast.score
    assert metrics.average_precision(target, score) == pytest.approx(
        average_precision_score(target, score)
    )
    assert metrics.roc_auc(target, score) == pytest.approx(roc_auc_score(target, score))
    assert metrics.brier(target, forecast.probability) == pytest.approx(
        brier_score_loss(target, forecast.probability)
    )


@given(rows=small_rows, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_no_metric_depends_on_the_order_of_rows(rows, seed):
    target, score, _ = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    outcomes = Outcomes(
        target, np.where(target > 0, np.arange(target.size), np.nan), score + 1, score.astype(int)
    )
    forecast = Forecast(score, score / 5)
    order = np.random.default_rng(seed).permutation(target.size)
    mixed = Outcomes(*(getattr(outcomes, name)[order] for name in outcomes.__dataclass_fields__))
    before = metrics.measure(outcomes, forecast, 0.3)
    after = metrics.measure(mixed, Forecast(score[order], score[order] / 5), 0.3)
    for metric in METRICS:
        assert after[metric] == pytest.approx(before[metric], nan_ok=True), metric


def test_capacity_takes_the_top_rows():
    target = np.array([1, 0, 1, 0, 0, 0, 0, 0, 1, 0], dtype=float)
    score = np.arange(10, 0, -1, dtype=float)
    assert metrics.precision_at(target, score, 0.3) == pytest.approx(2 / 3)
    assert metrics.recall_at(target, score, 0.3) == pytest.approx(2 / 3)
    assert metrics.lift_at(target, score, 0.3) == pytest.approx((2 / 3) / 0.3)


def test_ties_at_the_capacity_count_as_expected_over_all_orders():
    target = np.array([1, 1, 0, 0, 1], dtype=float)
    score = np.array([9, 5, 5, 5, 1], dtype=float)
    revenue = np.array([10, 20, 30, 40, 50], dtype=float)
    caught, lost = [], []
    for tied in permutations([1, 2, 3]):
        top = [0, tied[0]]
        caught.append(target[top].sum())
        lost.append((target * revenue)[top].sum())
    assert metrics.recall_at(target, score, 0.4) == pytest.approx(np.mean(caught) / 3)
    assert metrics.precision_at(target, score, 0.4) == pytest.approx(np.mean(caught) / 2)
    assert metrics.revenue_caught(target, score, revenue, 0.4) == pytest.approx(np.mean(lost) / 80)


def test_scores_all_alike_reach_what_chance_reaches():
    outcomes, _ = made()
    rate = outcomes.target.mean()
    flat = np.full(outcomes.target.size, 0.3)
    found = metrics.measure(outcomes, Forecast(flat, flat), 0.1)
    assert found["average_precision"] == pytest.approx(rate)
    assert found["roc_auc"] == pytest.approx(0.5)
    assert found["precision_at_capacity"] == pytest.approx(rate)
    assert found["lift_at_capacity"] == pytest.approx(1)
    assert found["revenue_caught_ratio"] == pytest.approx(0.1)
    assert found["calibration_error"] == pytest.approx(abs(0.3 - rate))


@pytest.mark.parametrize("count", [4, 5])
def test_lead_time_is_the_median_of_the_churners_caught(count):
    target = np.r_[np.ones(count), 0, 0, 1]
    score = np.arange(target.size, 0, -1, dtype=float)
    days = np.r_[np.array([40, 3, 12, 25, 7])[:count], np.nan, np.nan, 1000]
    share = count / target.size
    assert metrics.lead_time(target, score, days, share) == np.median(days[:count])


def test_calibration_error_by_hand():
    probability = np.array([0.1, 0.1, 0.9, 0.9])
    target = np.array([0.0, 1.0, 1.0, 1.0])
    # Two bins: |0.1 - 0.5| and |0.9 - 1|, half of the rows each.
    assert metrics.calibration_error(target, probability, bins=2) == pytest.approx(0.25)
    true = np.array([0.5, 0.5, 1.0, 1.0])
    assert metrics.calibration_error(target, true, bins=2) == pytest.approx(0)


def test_equal_probabilities_share_a_bin():
    order, starts = metrics.calibration_bins(np.array([0.2] * 7 + [0.1, 0.9, 0.3]), 5)
    assert starts.tolist() == [0, 1, 8]
    assert order[0] == 7


def test_measure_agrees_with_each_metric_alone():
    outcomes, forecast = made()
    target, score = outcomes.target, forecast.score
    assert metrics.measure(outcomes, forecast, 0.1) == pytest.approx(
        {
            "average_precision": metrics.average_precision(target, score),
            "roc_auc": metrics.roc_auc(target, score),
            "precision_at_capacity": metrics.precision_at(target, score, 0.1),
            "recall_at_capacity": metrics.recall_at(target, score, 0.1),
            "lift_at_capacity": metrics.lift_at(target, score, 0.1),
            "brier": metrics.brier(target, forecast.probability),
            "calibration_error": metrics.calibration_error(target, forecast.probability),
            "calibration_error_before": metrics.calibration_error(target, forecast.uncalibrated),
            "lead_time_days": metrics.lead_time(target, score, outcomes.days_to_churn, 0.1),
            "revenue_caught_ratio": metrics.revenue_caught(
                target, score, outcomes.monthly_revenue, 0.1
            ),
        }
    )


def test_a_weight_is_a_repetition():
    outcomes, forecast = made(60)
    repeats = np.random.default_rng(3).integers(0, 4, 60)
    weighted = metrics.measure(outcomes, forecast, 0.2, repeats.astype(float))
    again = np.repeat(np.arange(60), repeats)
    repeated = metrics.measure(
        Outcomes(*(getattr(outcomes, name)[again] for name in outcomes.__dataclass_fields__)),
        forecast.at(again),
        0.2,
    )
    for metric in METRICS:
        # Bins hold equally many rows, which repeating changes.
        if not metric.startswith("calibration_error"):
            assert weighted[metric] == pytest.approx(repeated[metric]), metric


def test_samples_are_those_of_their_customers():
    outcomes, forecast = made(300)
    weights = metrics.resample_customers(100, 25, np.random.default_rng(5))
    samples = metrics.measure_samples(outcomes, forecast, 0.1, weights)
    for number in (0, 7, 24):
        alone = metrics.measure(outcomes, forecast, 0.1, weights[number][outcomes.customer])
        for metric in METRICS:
            assert samples[metric][number] == pytest.approx(alone[metric], nan_ok=True), metric


def test_each_sample_draws_as_many_customers_as_there_are():
    weights = metrics.resample_customers(50, 40, np.random.default_rng(1))
    assert weights.shape == (40, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert len({tuple(row) for row in weights}) == 40


def test_intervals_of_repeated_customers_are_wider_than_of_as_many_others():
    outcomes, forecast = made(600, ties=False)
    rng = np.random.default_rng(2)
    alone = Outcomes(
        outcomes.target, outcomes.days_to_churn, outcomes.monthly_revenue, np.arange(600)
    )
    four = np.tile(np.arange(600), 4)
    repeated = Outcomes(*(getattr(alone, name)[four] for name in alone.__dataclass_fields__))
    strangers = Outcomes(
        repeated.target, repeated.days_to_churn, repeated.monthly_revenue, np.arange(2400)
    )
    forecast_of_four = Forecast(forecast.score[four], forecast.probability[four])

    def spread(rows):
        weights = metrics.resample_customers(rows.customer.max() + 1, 200, rng)
        return metrics.measure_samples(rows, forecast_of_four, 0.1, weights)["roc_auc"].std()

    # Four rows of one customer are one piece of evidence: the spread stays, and is not halved.
    assert spread(repeated) > 1.6 * spread(strangers)


def test_the_bootstrap_spread_of_the_base_rate_is_binomial():
    outcomes, _ = made(2000)
    alone = Outcomes(
        outcomes.target, outcomes.days_to_churn, outcomes.monthly_revenue, np.arange(2000)
    )
    flat = np.zeros(2000)
    weights = metrics.resample_customers(2000, 400, np.random.default_rng(4))
    spread = metrics.measure_samples(alone, Forecast(flat, flat), 0.1, weights)[
        "average_precision"
    ].std()
    rate = alone.target.mean()
    assert spread == pytest.approx(np.sqrt(rate * (1 - rate) / 2000), rel=0.15)


def test_an_estimate_holds_the_percentiles():
    found = metrics.estimate(0.5, np.arange(101) / 100)
    assert (found.value, found.lower, found.upper) == pytest.approx((0.5, 0.025, 0.975))


def test_what_does_not_exist_is_none():
    assert metrics.estimate(np.nan, np.ones(3)) == metrics.Estimate(None)
    assert metrics.estimate(0.5, np.full(3, np.nan)) == metrics.Estimate(0.5)


def test_without_churn_ranking_has_no_value():
    target = np.zeros(5)
    outcomes = Outcomes(target, np.full(5, np.nan), np.ones(5), np.arange(5))
    found = metrics.measure(outcomes, Forecast(np.arange(5.0), np.full(5, 0.1)), 0.4)
    for metric in (
        "average_precision",
        "roc_auc",
        "recall_at_capacity",
        "lift_at_capacity",
        "lead_time_days",
        "revenue_caught_ratio",
    ):
        assert np.isnan(found[metric]), metric
    assert found["precision_at_capacity"] == 0
    assert found["brier"] == pytest.approx(0.01)


@pytest.mark.parametrize("score", [np.array([]), np.array([1.0, np.nan])])
def test_nothing_to_rank_is_an_error(score):
    with pytest.raises(ValueError):
        metrics.rank(score)
