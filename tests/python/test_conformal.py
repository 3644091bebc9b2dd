import numpy as np
import pytest
from scipy.stats import binom, norm

from ml import conformal
from ml.metrics import Outcomes

ALPHA, DELTA = 0.2, 0.1
# How far churners' scores stand above the others' in `drawn`; both are normal of variance 1.
DISTANCE = 1.6


def drawn(rng, customers, *, rows=1, rate=0.15, sigma=1.0):
    """Customers of whom the missed share is known: `true_missed_share`.

    All rows of a customer share its score but for a little, so they are no independent evidence.
    """
    customer = np.repeat(np.arange(customers), rows)
    target = (rng.random(customers) < rate).astype(float)
    score = DISTANCE * target + rng.normal(size=customers)
    score = (
        score[customer] if rows == 1 else score[customer] + 1e-6 * rng.normal(size=customer.size)
    )
    revenue = rng.lognormal(6, sigma, customers)
    outcomes = Outcomes(
        target[customer], np.full(customer.size, np.nan), revenue[customer], customer
    )
    return outcomes, norm.cdf(score)


def true_missed_share(threshold):
    return norm.cdf(norm.ppf(threshold) - DISTANCE)


def bound(outcomes, probability, alpha=ALPHA, delta=DELTA):
    return conformal.bound_missed_value(outcomes, probability, alpha=alpha, delta=delta)


@pytest.mark.parametrize(("customers", "rows"), [(700, 1), (300, 3)])
def test_the_true_missed_share_exceeds_alpha_no_more_often_than_delta(customers, rows):
    rng = np.random.default_rng(12)
    draws = 300
    exceeded, found = 0, 0
    for _ in range(draws):
        each = bound(*drawn(rng, customers, rows=rows))
        if each.threshold is not None:
            found += 1
            exceeded += true_missed_share(each.threshold) > ALPHA
    assert found > 0.5 * draws
    # Three standard errors of a share of delta would still pass; the bound stays well below delta.
    assert exceeded / draws <= DELTA


def test_a_threshold_that_only_looks_right_would_break_the_promise():
    """The check can fail: the plain estimate exceeds alpha in about half of the draws."""
    rng = np.random.default_rng(12)
    exceeded = 0
    for _ in range(100):
        outcomes, probability = drawn(rng, 700)
        churned = np.sort(probability[outcomes.target > 0])
        exceeded += true_missed_share(churned[int(ALPHA * churned.size)]) > ALPHA
    assert exceeded > 30


def test_more_customers_come_closer_to_alpha():
    rng = np.random.default_rng(3)
    missed = [
        np.mean([bound(*drawn(rng, customers)).missed_share for _ in range(10)])
        for customers in (700, 3_000, 20_000)
    ]
    assert missed[0] < missed[1] < missed[2] < ALPHA
    assert missed[2] > 0.85 * ALPHA


@pytest.mark.parametrize("churned", [40, 100, 300])
def test_it_never_promises_more_than_the_exact_test_where_each_counts_the_same(churned):
    rng = np.random.default_rng(churned)
    outcomes, probability = drawn(rng, churned * 6, rate=1 / 6, sigma=0.0)
    found = bound(outcomes, probability)
    count = int(outcomes.target.sum())
    missed = round(found.missed_share * count)
    assert binom.cdf(missed, count, ALPHA) <= DELTA
    # And not so much less that it would be of no use: twice as many misses would break it.
    assert binom.cdf(2 * missed + 3, count, ALPHA) > DELTA


def test_rows_of_one_customer_promise_no_more_than_one():
    rng = np.random.default_rng(5)
    alone, probability = drawn(rng, 400)
    four = np.tile(np.arange(400), 4)
    repeated = alone.at(four)
    once, again = bound(alone, probability), bound(repeated, probability[four])
    assert once == again


def test_it_is_the_highest_threshold_that_holds_and_free_of_the_order_of_rows():
    rng = np.random.default_rng(6)
    outcomes, probability = drawn(rng, 600, rows=2)
    found = bound(outcomes, probability)
    mixed = rng.permutation(probability.size)
    assert bound(outcomes.at(mixed), probability[mixed]) == pytest.approx(found)
    share = conformal.missed_share(outcomes, probability, found.threshold, found.value_cap)
    assert share == pytest.approx(found.missed_share)
    assert found.share_called == pytest.approx(np.mean(probability >= found.threshold))
    looser = bound(outcomes, probability, alpha=0.3)
    assert looser.threshold > found.threshold


def test_missed_value_by_hand():
    outcomes = Outcomes(
        target=np.array([1.0, 1, 1, 0]),
        days_to_churn=np.full(4, np.nan),
        monthly_revenue=np.array([100.0, 300, 1000, 50]),
        customer=np.array([0, 0, 1, 2]),
    )
    probability = np.array([0.1, 0.6, 0.3, 0.9])
    # Customer 0 counts (100 + 300) / 2, customer 1 its cap of 400.
    cap = 400.0
    assert conformal.missed_share(outcomes, probability, 0.05, cap) == 0
    assert conformal.missed_share(outcomes, probability, 0.3, cap) == pytest.approx(50 / 600)
    assert conformal.missed_share(outcomes, probability, 0.5, cap) == pytest.approx(450 / 600)
    assert conformal.missed_share(outcomes, probability, None, cap) == 1
    nobody = Outcomes(np.zeros(4), *list(vars(outcomes).values())[1:])
    assert conformal.missed_share(nobody, probability, 0.5, cap) is None


def test_too_few_churned_customers_are_told_so():
    outcomes, probability = drawn(np.random.default_rng(7), 40)
    found = bound(outcomes, probability)
    assert found.threshold is None
    assert found.missed_share is None
    assert "too few" in found.why
    assert f"{int(outcomes.target.sum())} churned customers" in found.why


def test_without_churn_without_stayers_or_without_revenue_nothing_is_promised():
    outcomes, probability = drawn(np.random.default_rng(8), 300)
    fields = vars(outcomes)
    for change, said in [
        ({"target": np.zeros(300)}, "nobody churned"),
        ({"target": np.ones(300)}, "no customer with revenue stayed"),
        ({"monthly_revenue": np.zeros(300)}, "no customer with revenue stayed"),
    ]:
        found = bound(Outcomes(**{**fields, **change}), probability)
        assert found.threshold is None
        assert said in found.why
    empty = outcomes.at(np.zeros(300, dtype=bool))
    assert bound(empty, probability[:0]).threshold is None


def test_equal_probabilities_are_bounded_by_calling_everybody():
    outcomes, _ = drawn(np.random.default_rng(9), 500)
    found = bound(outcomes, np.full(500, 0.3))
    assert (found.threshold, found.share_called, found.missed_share) == (0.3, 1, 0)


def test_resampling_customers_shows_that_the_bound_holds():
    rng = np.random.default_rng(10)
    outcomes, probability = drawn(rng, 1_500, rows=2)
    check = conformal.resampling_check(
        outcomes, probability, alpha=ALPHA, delta=DELTA, splits=100, rng=rng
    )
    assert check.splits == check.bounded == 100
    assert check.exceeded_share <= DELTA
    assert 0.3 * ALPHA < check.missed_share < ALPHA


def test_the_resampling_check_sees_a_bound_that_does_not_hold(monkeypatch):
    rng = np.random.default_rng(10)
    outcomes, probability = drawn(rng, 1_500)
    honest = conformal.bound_missed_value
    monkeypatch.setattr(
        conformal,
        "bound_missed_value",
        lambda *rows, alpha, delta: honest(*rows, alpha=0.5, delta=delta),
    )
    check = conformal.resampling_check(
        outcomes, probability, alpha=ALPHA, delta=DELTA, splits=20, rng=rng
    )
    assert check.exceeded == check.bounded == 20
