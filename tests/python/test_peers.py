import os
import sys
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from model_fixtures import build_company
from sklearn.metrics import brier_score_loss, roc_auc_score

from ml.baselines import RECENCY
from ml.errors import DataError, HoldfastError
from ml.metrics import Estimate, Forecast
from ml.peers import bgnbd, published, rolling
from ml.peers.bgnbd import BgNbd, Purchases
from ml.peers.render import Peers, of_peers
from ml.peers.rolling import BG_NBD, HOLDFAST, Origin
from ml.terminal import plain

PAPER = published.PARAMETERS
DATA = Path(os.environ.get("HOLDFAST_DATA") or Path(__file__).parents[3] / "shared" / "data")
SAMPLE = DATA / "cdnow" / "CDNOW_sample.txt"


def simulated(rng, count, known_weeks, later_weeks, model=PAPER):
    """Customers of BG/NBD itself: purchases known and to come, in weeks since the first."""
    rate = rng.gamma(model.r, 1 / model.alpha, count)
    leaves = rng.beta(model.a, model.b, count)
    known, last, later = np.zeros(count), np.zeros(count), np.zeros(count)
    for at in range(count):
        time = 0.0
        while True:
            time += rng.exponential(1 / rate[at])
            if time > known_weeks + later_weeks:
                break
            if time <= known_weeks:
                known[at], last[at] = known[at] + 1, time
            else:
                later[at] += 1
            if rng.random() < leaves[at]:
                break
    return Purchases(known, last, np.full(count, float(known_weeks))), later


def test_silence_is_as_likely_as_it_happens_among_customers_of_the_model_itself():
    of, later = simulated(np.random.default_rng(0), 20_000, 39, 26)
    silence = PAPER.silence(of, 26)
    for some in (of.repeats == 0, of.repeats == 1, of.repeats > 2, silence < 0.3, silence > 0.9):
        happened = later[some] == 0
        error = 4 * np.sqrt(happened.var() / some.sum())
        assert silence[some].mean() == pytest.approx(happened.mean(), abs=error)


def test_nobody_is_gone_who_never_came_back_and_silence_ends_with_time():
    of = Purchases(np.array([0.0, 3, 500]), np.array([0.0, 10, 20]), np.full(3, 39.0))
    assert PAPER.is_alive(of)[0] == 1
    assert (PAPER.silence(of, 0) == 1).all()
    assert (PAPER.silence(of, 10)[:2] > PAPER.silence(of, 20)[:2]).all()
    # In the end all buy again who are still alive.
    assert PAPER.silence(of, 1e12)[1] == pytest.approx(1 - PAPER.is_alive(of)[1])
    # Five hundred purchases and then nineteen weeks of nothing leave no doubt, and no overflow.
    assert PAPER.is_alive(of)[2] == pytest.approx(0)


def test_purchases_of_a_day_are_one():
    days = np.array(
        ["2024-01-01", "2024-01-15", "2024-01-15", "2024-01-08", "2024-02-01"], "datetime64[D]"
    )
    found = bgnbd.summarise(np.array([0, 0, 0, 0, 1]), days, np.datetime64("2024-02-05"))
    assert found.repeats.tolist() == [2, 0]
    assert found.last.tolist() == [2, 0]
    assert found.age.tolist() == [5, 4 / 7]
    assert found.at(np.array([1])).repeats.tolist() == [0]


def test_a_customer_without_a_purchase_and_no_purchase_at_all_are_refused():
    for customer in ([0, 2], []):
        days = np.full(len(customer), np.datetime64("2024-01-01"))
        with pytest.raises(DataError, match="a purchase of every customer"):
            bgnbd.summarise(np.array(customer, dtype=int), days, np.datetime64("2024-02-01"))


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lifetimes", None)
    of, _ = simulated(np.random.default_rng(1), 50, 39, 26)
    with pytest.raises(HoldfastError, match=r"holdfast\[peers\]"):
        bgnbd.fit(of)


def test_the_library_finds_the_parameters_and_agrees_on_who_is_alive():
    pytest.importorskip("lifetimes", reason="the extra 'peers' is not installed")
    of, _ = simulated(np.random.default_rng(2), 4_000, 60, 1, BgNbd(0.8, 5.0, 1.0, 3.0))
    fitted = bgnbd.fit_library(of)
    found = bgnbd.parameters(fitted)
    assert (found.r, found.alpha) == pytest.approx((0.8, 5.0), rel=0.15)
    assert found.a / (found.a + found.b) == pytest.approx(0.25, rel=0.15)
    theirs = fitted.conditional_probability_alive(of.repeats, of.last, of.age)
    assert found.is_alive(of) == pytest.approx(np.asarray(theirs))


@pytest.mark.skipif(not SAMPLE.is_file(), reason=f"no {SAMPLE}; HOLDFAST_DATA names the folder")
def test_the_published_figure_is_reproduced():
    pytest.importorskip("lifetimes", reason="the extra 'peers' is not installed")
    found = published.reproduce(published.hold_out(published.read_sample(SAMPLE)))
    assert found.customers == 2357
    assert round(found.correlation, 3) == 0.626
    assert found.is_reproduced


def test_another_file_than_the_sample_is_told_apart(tmp_path):
    with pytest.raises(DataError, match=r"CDNOW_sample\.txt from"):
        published.read_sample(tmp_path / "none.txt")
    (tmp_path / "full.txt").write_text(
        " 00001 19970101  1   11.77\r\n 00002 19970112  1  12.00\r\n"
    )
    with pytest.raises(DataError, match="Expected 5 columns"):
        published.read_sample(tmp_path / "full.txt")


def origin(day, customers, seed, skill=2.0):
    rng = np.random.default_rng(seed)
    target = (rng.random(len(customers)) < 0.4).astype(float)

    def forecast(strength):
        score = strength * target + rng.normal(size=target.size)
        return Forecast(score, 1 / (1 + np.exp(-score)))

    return Origin(
        as_of_date=day,
        horizon_days=90,
        family="lightgbm",
        train_rows=1000,
        customers=np.array(customers, dtype=object),
        target=target,
        forecasts={HOLDFAST: forecast(skill), RECENCY: forecast(1.0), BG_NBD: forecast(skill)},
    )


def test_gaps_are_paired_and_the_mean_is_over_the_dates():
    names = [f"c{number:03}" for number in range(300)]
    found = [origin(date(2024, 1, 1), names[:250], 1), origin(date(2024, 2, 1), names[40:], 2)]
    result = rolling.compare(found, samples=60, rng=np.random.default_rng(0), left_out={"x": "y"})
    aucs = [roc_auc_score(each.target, each.forecasts[HOLDFAST].score) for each in found]
    for each, auc in zip(found, aucs, strict=True):
        assert result.find(each.as_of_date, HOLDFAST, "roc_auc").value.value == pytest.approx(auc)
        assert result.find(each.as_of_date, BG_NBD, "brier").value.value == pytest.approx(
            brier_score_loss(each.target, each.forecasts[BG_NBD].probability)
        )
    mean = result.find(None, HOLDFAST, "roc_auc")
    assert mean.value.value == pytest.approx(np.mean(aucs))
    assert mean.gap is None
    ahead = result.find(None, RECENCY, "roc_auc").gap
    assert 0 < ahead.lower < ahead.value < ahead.upper
    equal = result.find(None, BG_NBD, "roc_auc").gap
    assert equal.lower < 0 < equal.upper
    # An estimator is no distance from itself, on any sample.
    twin = [
        replace(each, forecasts=dict.fromkeys(each.forecasts, each.forecasts[RECENCY]))
        for each in found
    ]
    same = rolling.compare(twin, samples=20, rng=np.random.default_rng(0), left_out={})
    gap = same.find(None, RECENCY, "roc_auc").gap
    assert (gap.lower, gap.value, gap.upper) == (0, 0, 0)


def test_the_page_says_who_beats_whom_and_the_result_is_plain(capsys):
    from rich.console import Console

    found = [origin(date(2024, 1, 1), [f"c{number:03}" for number in range(300)], 1)]
    compared = rolling.compare(
        found, samples=40, rng=np.random.default_rng(0), left_out={"2023-12-01": "Too early."}
    )
    holdout = published.Holdout(np.arange(4), np.arange(4.0), np.array([0.0, 2, 1, 3]), PAPER)
    count = published.CountCorrelation(HOLDFAST, 4, 0.6, Estimate(-0.026, -0.05, 0.01))
    result = Peers(published.reproduce(holdout), (count,), compared)
    Console(width=80).print(of_peers(result))
    said = " ".join(capsys.readouterr().out.split())
    assert "Holdfast beats recency alone by ROC AUC and beats recency alone by average" in said
    assert "Holdfast cannot be told from BG/NBD by ROC AUC" in said
    assert "Too early." in said
    assert "as published: not reproduced" in said
    assert "Holdfast 0.600 -.026 [-.050, .010]" in said
    assert plain(result)["compared"]["origins"][0]["customers"] == 300


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A company whose orders tell of its customers what the label does."""
    company = build_company(tmp_path_factory.mktemp("shop") / "project", customers=150, months=10)
    company.sql(
        """
        create table bronze.orders as
        select
            customer_id, 'o' || row_number() over (order by customer_id, as_of_date) as order_id,
            as_of_date - interval 40 day as ordered_at, as_of_date - interval 40 day as known_at,
            false as is_return
        from gold.churn_labels
        where not is_churn or as_of_date = (select min(as_of_date) from gold.churn_labels)
        """,
        "select 1",
    )
    return company


def test_each_date_is_judged_by_what_was_known_on_it(shop, monkeypatch):
    seen = []

    def fitted(of):
        seen.append(of)
        return PAPER

    monkeypatch.setattr(bgnbd, "fit", fitted)
    found, left_out = rolling.origins(shop.settings, families=["logistic_regression"])
    labels = shop.sql(
        "select as_of_date, max(label_known_at), bool_and(is_label_available), count(*) "
        "from gold.churn_labels group by 1 order by 1"
    )
    whole = [row[0] for row in labels if row[2]]
    assert [each.as_of_date for each in found] == whole[-len(found) :]
    assert [*left_out] == [str(day) for day in whole[: -len(found)]]
    assert len(found) > 1
    assert left_out
    for each, of in zip(found, seen, strict=True):
        midnight = datetime.combine(each.as_of_date, datetime.min.time())
        [(trainable,)] = shop.sql(
            f"select count(*) from gold.churn_labels where label_known_at <= '{midnight}'"
        )
        assert each.train_rows == trainable
        [(orders,)] = shop.sql(
            f"select count(distinct (customer_id, cast(ordered_at as date))) from bronze.orders "
            f"where known_at < '{midnight}'"
        )
        assert of.repeats.sum() + of.repeats.size == orders
        assert each.customers.size == each.target.size == 150
        # The mature cohort's, without the delay of the label.
        assert each.horizon_days == 90


def test_a_company_without_orders_is_told_so(shop):
    shop.sql("update bronze.orders set is_return = true")
    try:
        with pytest.raises(DataError, match=r"found none in bronze\.orders"):
            rolling.origins(shop.settings)
    finally:
        shop.sql("update bronze.orders set is_return = false")


def test_where_no_chance_to_leave_is_seen_the_parameters_still_have_an_end(capsys):
    pytest.importorskip("lifetimes", reason="the extra 'peers' is not installed")
    # Everybody buys every week up to the end.
    of = Purchases(np.full(200, 20.0), np.full(200, 20.0), np.full(200, 20.5))
    found = bgnbd.fit(of)
    assert np.isfinite(list(vars(found).values())).all()
    assert (found.silence(of, 10) < 0.1).all()
    assert capsys.readouterr().out == ""


def test_counts_are_compared_where_the_papers_date_is_an_origin():
    rng = np.random.default_rng(4)
    names = [f"{number:05}" for number in range(0, 800, 4)]
    rate = rng.gamma(1.0, 1.0, 200)
    at = origin(date(1997, 10, 1), names, 3)
    # A chance of silence that knows each customer's rate.
    knowing = Forecast(-rate, np.exp(-rate))
    at = replace(at, forecasts={**at.forecasts, HOLDFAST: knowing})
    theirs = slice(50, 150)
    of = published.Holdout(
        customers=np.array(names[theirs][::-1], dtype=object),
        expected=rate[theirs][::-1],
        actual=rng.poisson(rate[theirs][::-1]).astype(float),
        found=PAPER,
    )
    found = published.correlate(of, [at], samples=40, rng=rng)
    ours, recency, _ = found
    assert (ours.estimator, ours.customers) == (HOLDFAST, 100)
    assert ours.correlation == pytest.approx(np.corrcoef(of.expected, of.actual)[0, 1])
    assert (ours.gap.lower, ours.gap.upper) == pytest.approx((0, 0), abs=1e-9)
    assert recency.gap.upper < 0
    assert not published.reproduce(of).is_reproduced
    elsewhere = origin(date(1997, 9, 1), names, 3)
    assert published.correlate(of, [elsewhere], samples=4, rng=rng) == ()
