import numpy as np
import pytest

from ml.judge import MIN_SEGMENT_CLASS, decide, judge
from ml.metrics import METRICS, Estimate, Forecast, Outcomes

BETTER = Estimate(0.1, 0.05, 0.15)


def decided(**given):
    asked = {
        "baseline": "recency",
        "champion": None,
        "champion_precision": None,
        "is_other_training": True,
        **given,
    }
    challenger = asked.pop("challenger", Estimate(0.4, 0.35, 0.45))
    return decide(challenger, asked.pop("difference", BETTER), **asked)


def test_the_first_model_that_beats_recency_serves():
    decision = decided()
    assert decision.is_publishable
    assert decision.promotes
    assert decision.from_version is None


@pytest.mark.parametrize("difference", [Estimate(0.1, -0.01, 0.2), Estimate(0.1, 0.0, 0.2)])
def test_an_interval_that_touches_zero_does_not_serve(difference):
    decision = decided(difference=difference)
    assert not decision.is_publishable
    assert not decision.promotes
    assert decision.why == "the model does not beat recency alone"


def test_no_interval_does_not_serve():
    assert not decided(difference=Estimate(None)).promotes
    assert not decided(difference=Estimate(0.1)).promotes


def test_without_recency_the_base_rate_is_to_beat():
    decision = decided(baseline="base_rate", difference=Estimate(-0.1, -0.2, 0.0))
    assert decision.why == "the model does not beat the base rate"


champion = {"champion": 3, "champion_precision": Estimate(0.42, 0.38, 0.46)}


def test_a_model_of_other_rows_within_the_champions_interval_takes_its_place():
    decision = decided(**champion, challenger=Estimate(0.38, 0.3, 0.5))
    assert decision.promotes
    assert decision.from_version == 3


def test_a_model_below_the_champions_interval_does_not():
    decision = decided(**champion, challenger=Estimate(0.37, 0.3, 0.5))
    assert not decision.promotes
    assert decision.is_publishable
    assert "worse than the champion" in decision.why


def test_a_model_of_the_same_rows_and_features_does_not():
    assert not decided(**champion, is_other_training=False).promotes


def test_a_model_that_beats_no_baseline_never_takes_the_champions_place():
    assert not decided(**champion, difference=Estimate(0.0, -0.1, 0.1)).promotes


def test_the_evidence_tells_the_figures():
    decision = decided(**champion)
    for text in ("0.400 [0.350, 0.450]", "0.100 [0.050, 0.150]", "0.420 [0.380, 0.460]"):
        assert text in decision.evidence


def judged(seed=0):
    rng = np.random.default_rng(seed)
    count = 300
    target = (rng.random(count) < 0.3).astype(float)
    segment = np.array(["big", "small"], dtype=object)[(np.arange(count) < 5).astype(int)]
    outcomes = Outcomes(
        target,
        np.where(target > 0, 5.0, np.nan),
        np.ones(count),
        np.arange(count) // 2,
    )
    score = target + rng.normal(size=count)
    forecasts = {
        "one": Forecast(score, np.full(count, 0.3)),
        "same": Forecast(score * 2, np.full(count, 0.3)),
    }
    return judge(
        outcomes,
        {"cohort": segment},
        forecasts,
        share=0.1,
        samples=60,
        rng=np.random.default_rng(1),
    )


def test_every_estimator_is_judged_overall_and_in_every_segment():
    found = {
        (each.estimator, each.segment_type, each.segment, each.metric)
        for each in judged().evaluations
    }
    parts = [("overall", "all"), ("cohort", "big"), ("cohort", "small")]
    assert found == {
        (estimator, *part, metric)
        for estimator in ("one", "same")
        for part in parts
        for metric in METRICS
    }


def test_a_segment_with_too_few_of_a_class_has_counts_and_no_values():
    small = [each for each in judged().evaluations if each.segment == "small"]
    assert {each.observations for each in small} == {5}
    assert all(each.value is None and each.lower_bound is None for each in small)
    big = [each for each in judged().evaluations if each.segment == "big"]
    assert {each.metric for each in big if each.value is None} == {"calibration_error_before"}
    assert big[0].churned >= MIN_SEGMENT_CLASS


def test_estimators_are_judged_on_the_same_samples():
    found = judged()
    np.testing.assert_array_equal(found.precision_samples["one"], found.precision_samples["same"])
    overall = found.overall("one", "average_precision")
    assert overall.lower <= overall.value <= overall.upper


def test_the_same_seed_judges_alike():
    assert judged().evaluations == judged().evaluations
