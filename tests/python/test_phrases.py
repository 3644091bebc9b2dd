import doctest
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from ml import phrases
from ml.contract import Feature, FeatureContract, parse_contract
from ml.phrases import Before, label, phrase, tells_change, value_text

FEATURES_YAML = Path(__file__).parents[2] / "models" / "gold" / "_features.yml"
CATEGORIES = ("pro", "x_y")
NUMBERS = (-3, -0.004, 0, 0.004, 0.5, 1, 1.5, 2, 7, 23, 365.25, 1234567.891)


def contract() -> FeatureContract:
    models = yaml.safe_load(FEATURES_YAML.read_text())["models"]
    nodes = {
        model["name"]: {
            "name": model["name"],
            "columns": {column["name"]: column for column in model["columns"]},
        }
        for model in models
    }
    return parse_contract({"nodes": nodes})


FEATURES = {feature.name: feature for feature in contract().features}
every_feature = pytest.mark.parametrize("name", FEATURES)


def feature(**values) -> Feature:
    given = {"name": "f", "data_type": "integer", "family": "engagement", "reach_days": 30}
    return Feature(**{**given, "unit": "count", **values})


def values_of(each: Feature) -> tuple:
    if each.kind == "boolean":
        return (True, False, 1.0, 0.0)
    return CATEGORIES if each.kind == "category" else NUMBERS


@every_feature
def test_every_feature_of_the_contract_has_a_phrase_that_fits_its_kind(name):
    each = FEATURES[name]
    assert each.phrase
    if each.kind == "boolean":
        assert each.phrase.count("|") == 1 and "{" not in each.phrase
    elif each.unit == "days" and each.reach_days == 1:
        assert each.phrase.count("|") == 1
    else:
        assert len(re.findall(r"\{(value|change)\}", each.phrase)) == 1
    assert each.phrase.count("|") <= 1
    span = re.search(r"_(\d+)d(_|$)", name)
    if span and span[1] != "1":
        weeks = str(int(span[1]) // 7)
        assert span[1] in each.phrase or f"{weeks} weeks" in each.phrase
    assert ("{window}" in each.phrase) == name.endswith("_obs")


@every_feature
def test_every_value_of_every_feature_reads_as_words(name):
    each = FEATURES[name]
    for value in values_of(each):
        for before in (None, *values_of(each)):
            said = phrase(
                each,
                value,
                before=None if before is None else Before(before, 4),
                window_days=30,
            )
            assert not re.search(r"[{}|]|\(s\)|nan|None|_(?!y)|  |D$|\bD\b", said), said
            assert said == said.strip() and not said[0].isupper() and len(said) < 150
            # One of something is never several, and several are never one.
            assert not re.search(r"(?<![\d.,])\b1 (days|hours|minutes|months)\b", said), said
            assert not re.search(r"\b(\d*[02-9]|\d+\.\d+) (day|hour|minute|month)\b", said), said
    assert len({phrase(each, value, window_days=30) for value in values_of(each)}) > 1


@every_feature
def test_null_is_said_in_the_words_of_what_null_means(name):
    each = FEATURES[name]
    said = phrase(each, None)
    if each.null_means == "never null":
        assert said == f"{label(each)} unknown"
    else:
        assert said.endswith(each.null_means)
        # It stands alone where it says what is absent, else behind the feature's name.
        assert said == each.null_means or said == f"{label(each)}: {each.null_means}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("days_since_last_login", 23, "no login for 23 days"),
        ("days_since_last_login", 1, "last login 1 day ago"),
        ("failed_payments_90d", 2, "2 failed payments in 90 days"),
        ("failed_payments_90d", 1, "1 failed payment in 90 days"),
        ("failed_payments_90d", 0, "no failed payment in 90 days"),
        ("days_to_renewal", 12, "renewal in 12 days"),
        ("days_to_renewal", 0, "renewal today"),
        ("auto_renew", 0.0, "does not renew by itself"),
        ("plan", "pro", "plan pro"),
        ("csat_avg_90d", Decimal("2.250000"), "average rating 2.2 of 5 in 90 days"),
        ("csat_avg_90d", None, "no rating in 90 days"),
        (
            "late_payment_ratio_180d",
            0.25,
            "25 % of the invoices of 180 days paid late or not at all",
        ),
        ("late_payment_ratio_180d", 0, "all invoices of 180 days paid in time"),
        ("mrr", Decimal("12345.60"), "monthly revenue 12,346"),
        ("mrr_change_90d", -200, "monthly revenue fell by 200 in 90 days"),
        ("logins_trend_28d", -2.5, "weekly logins fell by 2.5 a week over 4 weeks"),
        ("logins_trend_28d", 0, "weekly logins did not change over 4 weeks"),
        ("minutes_7d", 30.37, "30 minutes of activity in 7 days"),
        ("minutes_7d", 0, "no minute of activity in 7 days"),
        ("logins_obs", 1, "1 login in 60 days"),
        ("segment", None, "segment: the source has none"),
        (
            "logins_wow_ratio",
            0.5,
            "logins of the last 7 days fell by half compared with the 7 days before",
        ),
    ],
)
def test_what_a_value_says(name, value, said):
    assert phrase(FEATURES[name], value, window_days=60) == said


@pytest.mark.parametrize(
    ("name", "now", "then", "said"),
    [
        ("logins_30d", 3, 7, "logins in 30 days fell by 57 % in 4 weeks: 3, before 7"),
        ("logins_30d", 5, 10, "logins in 30 days fell by half in 4 weeks: 5, before 10"),
        ("logins_30d", 21, 10, "logins in 30 days doubled in 4 weeks: 21, before 10"),
        ("logins_30d", 32, 10, "logins in 30 days rose 3.2-fold in 4 weeks: 32, before 10"),
        (
            "logins_30d",
            1,
            400,
            "logins in 30 days fell by more than 99 % in 4 weeks: 1, before 400",
        ),
        ("logins_30d", 10, 9, "10 logins in 30 days"),
        ("logins_30d", 0, 7, "no login in 30 days, before 7"),
        ("logins_30d", 7, 0, "7 logins in 30 days, before none"),
        ("failed_payments_90d", 2, 1, "2 failed payments in 90 days, before 1"),
        (
            "minutes_7d",
            3,
            30,
            "minutes of activity in 7 days fell by 90 % in 4 weeks: 3, before 30",
        ),
        (
            "active_days_30d",
            4,
            8,
            "days with activity in 30 days fell by half in 4 weeks: 4, before 8",
        ),
        ("csat_avg_90d", 2, 4.5, "average rating 2 of 5 in 90 days, before 4.5"),
        ("csat_avg_90d", None, 4.5, "no rating in 90 days, before 4.5"),
        ("discount_ratio", 0, 0.2, "no discount, before 20 %"),
        ("plan", "basic", "pro", "plan basic, before pro"),
        ("plan", "pro", "pro", "plan pro"),
        ("mrr", 50, 100, "monthly revenue fell by half in 4 weeks: 50, before 100"),
        # What moves by itself, compares already, or is one day's is not compared.
        ("days_since_last_login", 40, 12, "no login for 40 days"),
        ("tenure_days", 60, 32, "customer for 60 days"),
        ("days_to_renewal", 2, 30, "renewal in 2 days"),
        ("logins_1d", 1, 9, "1 login on the last day"),
        ("auto_renew", 0.0, 1.0, "does not renew by itself"),
    ],
)
def test_what_a_change_says(name, now, then, said):
    assert phrase(FEATURES[name], now, before=Before(then, 4)) == said


def test_null_before_is_not_told():
    assert phrase(FEATURES["csat_avg_90d"], 2, before=Before(None, 4)) == (
        "average rating 2 of 5 in 90 days"
    )


def test_a_feature_without_a_phrase_is_named():
    bare = feature(name="exports_30d", phrase=None)
    assert phrase(bare, 12) == "exports 30d 12"
    assert phrase(bare, 12, before=Before(40, 4)) == "exports 30d 12"
    assert phrase(bare, None) == "exports 30d unknown"
    assert not tells_change(bare)


def test_the_window_of_a_cohort_is_named_where_it_is_unknown():
    assert phrase(FEATURES["logins_obs"], 2) == "2 logins in the cohort's own window"


def test_values_for_a_table_carry_their_unit():
    assert value_text(FEATURES["days_to_renewal"], 1) == "1 day"
    assert value_text(FEATURES["open_ratio_90d"], 0.256) == "26 %"
    assert value_text(FEATURES["auto_renew"], 0.0) == "no"
    assert value_text(FEATURES["plan"], "pro") == "pro"
    assert value_text(FEATURES["mrr"], None) == "–"


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(phrases).failed == 0
