"""The gates on figures made by hand: each lets pass, and refuses, where it should."""

from datetime import date, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ml import metrics
from ml.metrics import Estimate, Forecast, Outcomes
from ml.promotion import gates
from ml.promotion.certificate import Certificate, certified
from ml.promotion.history import AliasChange, evidence_of
from ml.promotion.judging import Contender, unseen_since
from ml.promotion.measure import calibration_by_chance, precision_gain
from ml.promotion.rollback import line_of_champions

DAYS = tuple(date(2024, month, 1) for month in range(1, 9))
GOLD = {day: f"rows of {day}" for day in DAYS}


@pytest.mark.parametrize(("churners", "is_passed"), [(49, False), (50, True)])
def test_enough_customers_have_churned(churners, is_passed):
    gate = gates.enough_churners(churners, 1000, 3, least=50)
    assert (gate.is_passed, gate.figure, gate.least) == (is_passed, churners, 50)


@pytest.mark.parametrize(
    ("gain", "is_passed"),
    [
        (Estimate(0.1, 0.01, 0.2), True),
        # Above zero by a hair: what noise reaches in one of thirty trainings.
        (Estimate(0.1, 0.002, 0.2), False),
        (Estimate(0.1, -0.01, 0.2), False),
        (Estimate(0.1), False),
        (Estimate(None), False),
    ],
)
def test_recency_is_beaten_by_more_than_chance(gain, is_passed):
    gate = gates.beats_recency(gain, 0.1, baseline="recency alone", min_gain=0.1)
    assert gate.is_passed == is_passed
    # A tenth of the label's variance.
    assert gate.least == pytest.approx(0.1 * 0.1 * 0.9)


def test_the_margin_over_recency_is_smallest_where_labels_vary_least():
    def margin(base_rate):
        return gates.beats_recency(
            Estimate(None), base_rate, baseline="recency alone", min_gain=0.1
        ).least

    assert margin(0.01) < margin(0.1) < margin(0.5)
    assert margin(0.99) == pytest.approx(margin(0.01))


@pytest.mark.parametrize(("lower", "is_passed"), [(0.111, True), (0.109, False), (None, False)])
def test_average_precision_lies_above_the_churn_rate(lower, is_passed):
    gate = gates.average_precision(Estimate(0.2, lower, 0.3), 0.1, min_lift=1.1)
    assert gate.is_passed == is_passed
    assert gate.least == pytest.approx(0.11)


@pytest.mark.parametrize(("error", "is_passed"), [(0.034, True), (0.036, False)])
def test_probabilities_are_off_by_a_share_of_the_rate_and_chance(error, is_passed):
    gate = gates.calibrated(error, 0.01, 0.1, most=0.25)
    assert gate.is_passed == is_passed
    assert gate.most == pytest.approx(0.035)


@pytest.mark.parametrize(
    ("difference", "is_passed"),
    [
        (Estimate(0.02, -0.01, 0.05), True),
        (Estimate(-0.02, -0.05, 0.0), True),
        (Estimate(-0.02, -0.05, -0.001), False),
        (Estimate(None), False),
    ],
)
def test_a_version_is_not_surely_worse_than_the_champion(difference, is_passed):
    gate = gates.not_worse_than_champion(difference, 3, 1000, 2)
    assert gate.is_passed == is_passed
    assert "version 3" in gate.evidence


def test_a_missing_feature_refuses_by_its_name():
    assert gates.features_in_contract([], 7).is_passed
    gate = gates.features_in_contract(["'mrr' (decimal(18,2)) is missing"], 7)
    assert not gate.is_passed
    assert "'mrr'" in gate.evidence


def test_refusals_are_told_with_their_figures():
    refused = gates.failed(
        [gates.enough_churners(4, 100, 2, least=50), gates.features_in_contract([], 7)]
    )
    assert gates.in_words(refused) == (
        "refused by enough_churners (4 customers churned in 100 observations of 2 dates)"
    )


# -- the certificate ---------------------------------------------------------------------------


def certificate(*, red=(), stale=(), fingerprints=None):
    return Certificate("replay-1", tuple(red), tuple(stale), fingerprints or GOLD)


def asked(given, trained_on=None, *, may_be_missing=False):
    on = GOLD if trained_on is None else trained_on
    return certified(given, on, least=6, may_be_missing=may_be_missing)


def test_a_green_certificate_of_the_very_gold_passes():
    gate = asked(certificate())
    assert gate.is_passed
    assert (gate.figure, gate.least) == (8, 6)
    assert "8 of the 8 dates" in gate.evidence


def test_a_missing_certificate_passes_only_where_it_may_be_missing():
    assert not asked(None).is_passed
    gate = asked(None, may_be_missing=True)
    assert gate.is_passed
    assert "holdfast audit replay" in gate.evidence


@pytest.mark.parametrize("may_be_missing", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        certificate(red=["gold.customer_360 as of 2024-02-01"]),
        certificate(stale=["gold.churn_labels as of 2024-02-01"]),
        certificate(fingerprints={**GOLD, DAYS[2]: "rows of another build"}),
        certificate(fingerprints=dict(list(GOLD.items())[:5])),
    ],
)
def test_a_red_stale_foreign_or_thin_certificate_never_passes(given, may_be_missing):
    assert not asked(given, may_be_missing=may_be_missing).is_passed


def test_where_there_are_few_dates_all_must_be_certified():
    few = dict(list(GOLD.items())[:3])
    assert asked(certificate(), few).is_passed
    assert not asked(certificate(fingerprints=dict(list(few.items())[:2])), few).is_passed


def test_without_the_frozen_set_nothing_says_what_was_trained_on():
    gate = asked(certificate(), {})
    assert not gate.is_passed
    assert "frozen set" in gate.evidence


# -- what is measured --------------------------------------------------------------------------


def outcomes(rows_of_each=1, customers=400, seed=0):
    rng = np.random.default_rng(seed)
    target = np.repeat((rng.random(customers) < 0.3).astype(float), rows_of_each)
    customer = np.repeat(np.arange(customers), rows_of_each)
    return Outcomes(target, np.full(target.size, np.nan), np.ones(target.size), customer)


def test_the_gain_is_paired():
    happened = outcomes()
    rng = np.random.default_rng(1)
    score = happened.target + rng.normal(size=happened.target.size)
    some, same = Forecast(score, score), Forecast(3 * score + 1, score)
    gain = precision_gain(happened, some, same, samples=40, rng=rng)
    assert (gain.value, gain.lower, gain.upper) == (0, 0, 0)
    noise = Forecast(rng.normal(size=score.size), score)
    gain = precision_gain(happened, some, noise, samples=40, rng=rng)
    assert gain.value == pytest.approx(
        float(
            metrics.average_precision(happened.target, score)
            - metrics.average_precision(happened.target, noise.score)
        )
    )
    assert 0 < gain.lower < gain.value < gain.upper


def test_chance_alone_shows_the_calibration_error_of_so_many_customers():
    rng = np.random.default_rng(2)
    probability = rng.beta(1, 4, 2000)
    by_chance = calibration_by_chance(np.arange(2000), probability, rng)
    # The mean distance of a bin's rate from its mean: a normal's, sqrt(2 / pi) of the deviation.
    deviations = np.sqrt(
        [
            (part * (1 - part)).mean() / part.size
            for part in np.array_split(np.sort(probability), 10)
        ]
    )
    assert_allclose(by_chance, np.sqrt(2 / np.pi) * deviations.mean(), rtol=0.1)


def test_rows_of_one_customer_are_no_more_evidence_than_one():
    rng = np.random.default_rng(3)
    once = rng.beta(1, 4, 300)
    by_chance = calibration_by_chance(np.arange(300), once, rng)
    thrice = calibration_by_chance(np.repeat(np.arange(300), 3), np.repeat(once, 3), rng)
    assert_allclose(thrice, by_chance, rtol=0.15)


def test_two_versions_are_judged_from_the_later_training_on():
    def trained(cutoff):
        return Contender(None, None, SimpleNamespace(training_cutoff=cutoff))

    early, late = trained(datetime(2024, 1, 1)), trained(datetime(2024, 3, 1))
    assert unseen_since(early, late) == unseen_since(late, early) == date(2024, 3, 1)
    assert unseen_since(early) == date(2024, 1, 1)


# -- whom a rollback goes back to --------------------------------------------------------------


def changes(*steps):
    return [
        AliasChange(
            "churn",
            "champion",
            None,
            abs(step),
            None,
            "someone",
            "why",
            evidence_of("rollback" if step < 0 else "promote"),
        )
        for step in steps
    ]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ((1, 2, 3), [1, 2, 3]),
        ((1, 2, 3, -2), [1, 2]),
        ((1, 2, 3, -2, -1), [1]),
        ((1, 2, 3, -1), [1]),
        ((1, 2, -1, 3), [1, 3]),
        # Promoted again by hand is a promotion, and can itself be rolled back.
        ((1, 2, 1), [1, 2, 1]),
        ((1, 2, 1, -2), [1, 2]),
        ((), []),
    ],
)
def test_rollbacks_undo_promotions(steps, line):
    assert line_of_champions(changes(*steps)) == line
