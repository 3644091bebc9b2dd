import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_curve

from ml import metrics, thresholds
from ml.errors import DataError
from ml.metrics import Outcomes
from ml.thresholds import POLICIES, CallEconomics, TierCosts

CHOICE = {"share": 0.2, "least_recall": 0.6}
TIERS = {"smb": TierCosts(10, 0.1, 6), "enterprise": TierCosts(100, 0.3, 12)}


def outcomes_of(target, customer=None, revenue=None):
    target = np.asarray(target, dtype=float)
    return Outcomes(
        target,
        np.where(target > 0, 10.0, np.nan),
        np.full(target.size, 100.0) if revenue is None else np.asarray(revenue, dtype=float),
        np.arange(target.size) if customer is None else np.asarray(customer),
    )


def economics_of(count, cost=1.0, save_rate=0.5, value=10.0):
    return CallEconomics(np.full(count, cost), np.full(count, save_rate), np.full(count, value))


def choose(policy, target, probability, *, economics=None, samples=20, **choice):
    outcomes = outcomes_of(target)
    (found,) = thresholds.choose(
        [policy],
        outcomes,
        np.asarray(probability, dtype=float),
        economics or economics_of(outcomes.target.size),
        customer_weights=metrics.resample_customers(
            outcomes.target.size, samples, np.random.default_rng(0)
        ),
        **{**CHOICE, **choice},
    )
    return found


def made(count=500, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    target = (rng.random(count) < 0.2).astype(float)
    probability = 1 / (1 + np.exp(1.5 - 1.5 * target - rng.normal(size=count)))
    return target, np.round(probability, 2) if ties else probability


def test_capacity_calls_as_many_rows_as_fit_and_never_more():
    probability = np.array([0.9, 0.8, 0.7, 0.7, 0.7, 0.4, 0.3, 0.2, 0.1, 0.1])
    for share, threshold, called in [(0.2, 0.8, 2), (0.4, 0.8, 2), (0.5, 0.7, 5), (0.19, 0.9, 1)]:
        found = choose("capacity", np.eye(10)[0], probability, share=share)
        assert (found.threshold.value, found.alerts(probability).sum()) == (threshold, called)
        assert found.reached.share_called.value == pytest.approx(called / 10)


def test_a_share_that_floats_cannot_hold_still_fits():
    assert 0.29 * 100 < 29
    found = choose("capacity", np.eye(100)[0], np.arange(100) / 100, share=0.29)
    assert found.reached.share_called.value == pytest.approx(0.29)


def test_scores_all_alike_let_capacity_call_nobody_and_the_others_everybody():
    target = np.array([1.0, 0, 0, 1, 0])
    nobody = choose("capacity", target, np.full(5, 0.4))
    assert nobody.threshold.value is None
    assert not nobody.alerts(np.full(5, 0.4)).any()
    assert nobody.reached.share_called.value == 0
    assert nobody.reached.precision.value is None
    assert nobody.reached.recall.value == 0
    for policy in ("precision", "f1", "profit"):
        assert choose(policy, target, np.full(5, 0.4)).reached.share_called.value == 1, policy


def test_without_churn_only_capacity_and_profit_can_choose():
    probability = np.linspace(0.9, 0.1, 10)
    found = {policy: choose(policy, np.zeros(10), probability) for policy in POLICIES}
    assert found["precision"].threshold.value is found["f1"].threshold.value is None
    assert "nobody churned" in found["f1"].why
    assert found["capacity"].threshold.value == pytest.approx(0.9 - 0.8 / 9)
    # A call earns 5 p - 1.
    assert found["profit"].alerts(probability).sum() == (probability > 0.2).sum()
    assert found["profit"].reached.recall.value is None
    assert found["profit"].reached.realised_profit.value == pytest.approx(
        -found["profit"].reached.share_called.value
    )


def test_churn_of_everybody_has_a_precision_of_one():
    found = choose("f1", np.ones(6), np.linspace(0.9, 0.1, 6))
    assert (found.reached.precision.value, found.reached.recall.value) == (1, 1)


def test_profit_calls_exactly_those_who_are_worth_it_where_all_cost_the_same():
    target, probability = made()
    found = choose("profit", target, probability)
    assert (found.alerts(probability) == (probability * 0.5 * 10 > 1)).all()
    called = found.alerts(probability)
    assert found.reached.expected_profit.value == pytest.approx(
        (5 * probability[called] - 1).sum() / target.size
    )
    assert found.reached.realised_profit.value == pytest.approx(
        (5 * target[called] - 1).sum() / target.size
    )


def test_no_call_is_the_most_profitable_where_calls_cost_more_than_they_save():
    found = choose("profit", *made(), economics=economics_of(500, cost=100.0))
    assert found.threshold.value is None
    assert found.why == "no threshold earns anything"
    assert found.reached.expected_profit.value == 0


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=2, max_size=25).filter(
        lambda rows: any(row[0] for row in rows)
    ),
    least_recall=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_precision_and_f1_are_the_best_of_all_thresholds(rows, least_recall):
    target = np.array([row[0] for row in rows], dtype=float)
    probability = np.array([row[1] for row in rows]) / 10
    by_f1 = choose("f1", target, probability, samples=2)
    best = max(f1_score(target, probability >= each) for each in np.unique(probability))
    assert f1_score(target, by_f1.alerts(probability)) == pytest.approx(best)
    precision, recall, _ = precision_recall_curve(target, probability)
    by_precision = choose("precision", target, probability, samples=2, least_recall=least_recall)
    assert by_precision.reached.recall.value >= least_recall
    assert by_precision.reached.precision.value == pytest.approx(
        precision[recall >= least_recall].max()
    )


def test_of_equal_precision_the_one_that_calls_more_is_chosen():
    probability = np.array([0.9, 0.8, 0.7, 0.6])
    found = choose("precision", [1, 1, 0, 1], probability, least_recall=0.3)
    assert found.threshold.value == 0.8
    # A row that a sample did not draw is no place to end, even where it would change nothing.
    (undrawn,) = thresholds.choose(
        ["precision"],
        outcomes_of([1, 1, 1, 0]),
        probability,
        economics_of(4),
        share=0.5,
        least_recall=0.3,
        customer_weights=np.array([[2.0, 1, 0, 1]]),
    )
    assert undrawn.threshold.value == 0.7
    assert undrawn.threshold.lower == undrawn.threshold.upper == 0.8


@pytest.mark.parametrize("policy", POLICIES)
def test_no_choice_depends_on_the_order_of_rows(policy):
    target, probability = made()
    mixed = np.random.default_rng(1).permutation(target.size)
    before = choose(policy, target, probability)
    after = choose(policy, target[mixed], probability[mixed])
    assert before.threshold.value == after.threshold.value
    assert before.reached.precision.value == after.reached.precision.value


@pytest.mark.parametrize("policy", POLICIES)
def test_each_sample_of_customers_chooses_and_reaches_as_its_rows_repeated(policy):
    target, probability = made(60)
    customer = np.arange(60) // 2
    outcomes = outcomes_of(target, customer)
    economics = economics_of(60)
    drawn = metrics.resample_customers(30, 1, np.random.default_rng(4))
    (found,) = thresholds.choose(
        [policy], outcomes, probability, economics, customer_weights=drawn, **CHOICE
    )
    again = np.repeat(np.arange(60), drawn[0][customer].astype(int))
    repeated = choose(policy, target[again], probability[again], economics=economics_of(again.size))
    assert found.threshold.lower == found.threshold.upper == repeated.threshold.value
    called = probability[again] >= found.threshold.value
    assert found.reached.recall.lower == pytest.approx(
        (called * target[again]).sum() / target[again].sum()
    )
    assert found.reached.share_called.lower == pytest.approx(called.mean())


def test_a_tier_without_costs_is_told_with_what_to_do():
    economics = thresholds.call_economics(["smb", "enterprise"], np.array([100.0, 1000.0]), TIERS)
    assert economics.value.tolist() == [600, 12000]
    assert economics.profit(np.array([0.5, 0.5])).tolist() == [20, 1700]
    with pytest.raises(DataError, match=r"retention_costs, found none for None, mid_market"):
        thresholds.call_economics(["smb", "mid_market", None], np.ones(3), TIERS)


def test_a_probability_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="nan"):
        choose("f1", [1, 0], [0.5, np.nan])
