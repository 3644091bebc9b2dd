import numpy as np

from ml.judge import MIN_SEGMENT_CLASS, judge
from ml.metrics import METRICS, Forecast, Outcomes


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
