import hashlib
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import splits
from ml.errors import DataError
from ml.splits import (
    DateLabels,
    Enough,
    Fold,
    Learnable,
    Split,
    TestPeriod,
    customer_share,
    split_rows,
    trainable_at,
)

FROM = datetime(2023, 1, 1)
UNTIL = datetime(2024, 1, 1)


def labels(day, observations=10, labelled=10, known_days=44):
    known = datetime.combine(day, datetime.min.time()) + timedelta(days=known_days)
    return DateLabels(day, observations, labelled, known)


def period_of(dates, test_dates=1, data_from=FROM, data_until=UNTIL):
    return splits.test_period(dates, test_dates, data_from=data_from, data_until=data_until)


def days(*texts):
    return np.array(texts, dtype="datetime64[us]")


def split_of(as_of_date, label_known_at, period, customer=None, share=0.3, seed=7, **options):
    count = len(as_of_date)
    customers = [f"c{number}" for number in range(max(count, 9))]
    rows = Learnable(
        customer=np.arange(count) if customer is None else customer,
        customers=customers,
        as_of_date=as_of_date,
        label_known_at=label_known_at,
        is_churn=options.pop("is_churn", np.zeros(count)),
    )
    return split_rows(
        rows,
        period,
        options.pop("dates", ()),
        validation_dates=options.pop("validation_dates", 3),
        calibration_share=share,
        enough=options.pop("enough", Enough(2, 1)),
        seed=seed,
    )


def test_a_label_known_at_the_very_moment_may_train_and_one_microsecond_later_not():
    known = days("2024-03-01T00:00:00", "2024-03-01T00:00:00.000001", "NaT")
    assert trainable_at(known, datetime(2024, 3, 1)).tolist() == [True, False, False]


def test_the_newest_complete_dates_are_the_test():
    dates = [
        labels(date(2023, 1, 1)),
        labels(date(2023, 2, 1)),
        labels(date(2023, 3, 1)),
        labels(date(2023, 4, 1), labelled=9),
        labels(date(2023, 5, 1), labelled=0),
        labels(date(2023, 6, 1), observations=0, labelled=0),
    ]
    period = period_of(dates, test_dates=2)
    assert period.dates == (date(2023, 2, 1), date(2023, 3, 1))
    assert period.cutoff == datetime(2023, 2, 1)


def test_dates_in_any_order_give_the_same_test():
    dates = [labels(date(2023, month, 1)) for month in (3, 1, 2)]
    assert period_of(dates).dates == (date(2023, 3, 1),)


def test_too_few_complete_dates_are_an_error():
    with pytest.raises(DataError, match="Expected 2 grid dates.*found 1.*train.test_dates"):
        period_of([labels(date(2023, 1, 1))], test_dates=2)


@pytest.mark.parametrize("dates", [[], [labels(date(2023, 1, 1), observations=0, labelled=0)]])
def test_no_observation_is_an_error(dates):
    with pytest.raises(DataError, match="no observation"):
        period_of(dates)


def test_no_mature_label_says_when_the_first_will_be_known():
    dates = [labels(date(2023, 12, 1), labelled=0, known_days=44)]
    with pytest.raises(DataError, match="No label is mature yet.*2024-01-14.*2024-01-01"):
        period_of(dates)


def test_a_horizon_longer_than_the_data_is_an_error():
    dates = [labels(date(2023, 12, 1), labelled=0, known_days=120)]
    with pytest.raises(DataError, match="longer than the data.*120 days.*covers 61"):
        period_of(dates, data_from=datetime(2023, 11, 1))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 11), st.integers(1, 200), st.integers(0, 8)),
        min_size=1,
        max_size=60,
    ),
    first_test=st.integers(1, 11),
    share=st.floats(0.05, 0.95),
)
@settings(max_examples=200, deadline=None)
def test_nothing_leaks(rows, first_test, share):
    month, wait, customer = (np.array(column) for column in zip(*rows, strict=True))
    as_of_date = np.datetime64("2023-01", "M") + month
    as_of_date = as_of_date.astype("datetime64[us]")
    known = as_of_date + wait.astype("timedelta64[D]")
    test_months = range(first_test, 12)
    period = TestPeriod(
        tuple(date(2023, number + 1, 1) for number in test_months),
        datetime(2023, first_test + 1, 1),
    )
    split = split_of(as_of_date, known, period, customer=customer, share=share)
    cutoff = np.datetime64(period.cutoff)
    assert (known[split.train] <= cutoff).all()
    assert (as_of_date[split.train] < cutoff).all()
    assert (as_of_date[split.test] >= cutoff).all()
    (fold,) = split.folds
    assert not set(customer[fold.train]) & set(customer[fold.judge])
    np.testing.assert_array_equal(fold.train | fold.judge, split.train)
    overlap = split.train.astype(int) + split.test
    assert overlap.max() <= 1
    assert split.purged == (overlap == 0).sum()
    # Nothing that may train is thrown away.
    assert (overlap[known <= cutoff] == 1).all()


def test_a_customers_part_depends_on_the_customer_and_the_seed_alone():
    digest = hashlib.md5(b"7:c1").digest()
    assert customer_share("c1", 7) == int.from_bytes(digest[:8], "big") / 2**64
    alone = splits.is_calibration_customer(["c1"], 0.5, 7)
    among = splits.is_calibration_customer([f"c{n}" for n in range(50)], 0.5, 7)
    assert alone[0] == among[1]
    others = splits.is_calibration_customer([f"c{n}" for n in range(50)], 0.5, 8)
    assert (among != others).any()


def test_about_the_share_of_customers_calibrates():
    chosen = splits.is_calibration_customer([f"c{n}" for n in range(5000)], 0.2, 7)
    # Five standard errors of a binomial share.
    assert abs(chosen.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 5000)


def monthly(months=12, count=400, wait=40, seed=0):
    """Return rows of every month, a third of them churned, each label known after so many days."""
    rng = np.random.default_rng(seed)
    month = np.repeat(np.arange(months), count)
    as_of_date = (np.datetime64("2023-01", "M") + month).astype("datetime64[us]")
    dates = [
        labels(date(2023, at + 1, 1), observations=count, labelled=count, known_days=wait)
        for at in range(months)
    ]
    return {
        "as_of_date": as_of_date,
        "label_known_at": as_of_date + np.timedelta64(wait, "D"),
        "is_churn": (rng.random(month.size) < 1 / 3).astype(float),
        "customer": np.tile(np.arange(count), months),
        "dates": dates,
    }


LAST_TWO = TestPeriod((date(2023, 11, 1), date(2023, 12, 1)), datetime(2023, 11, 1))


def test_each_fold_judges_a_past_date_by_what_was_known_on_it():
    rows = monthly()
    split = split_of(period=LAST_TWO, **rows)
    # Forty days before November lies late September.
    assert [fold.name for fold in split.folds] == ["2023-07-01", "2023-08-01", "2023-09-01"]
    for fold in split.folds:
        day = np.datetime64(fold.name)
        assert (rows["as_of_date"][fold.judge] == day).all()
        assert fold.judge.sum() == 400
        known = rows["label_known_at"] <= day
        np.testing.assert_array_equal(fold.train, known)
        assert (split.train | ~fold.judge).all()
    assert split.fold.tolist() == [0] * 400 + [1] * 400 + [2] * 400


def test_a_date_with_a_label_still_to_come_judges_nobody():
    rows = monthly()
    known = labels(date(2023, 9, 1), observations=400, labelled=400, known_days=62)
    rows["dates"][8] = known
    split = split_of(period=LAST_TWO, **rows)
    assert [fold.name for fold in split.folds] == ["2023-06-01", "2023-07-01", "2023-08-01"]


def test_dates_that_carry_no_fit_judge_nobody():
    rows = monthly()
    # Two months of 400 rows are known on the first of April, three on the first of May.
    split = split_of(period=LAST_TWO, validation_dates=12, enough=Enough(1200, 1), **rows)
    assert split.folds[0].name == "2023-05-01"


@pytest.mark.parametrize("lacking", ["history", "churners"])
def test_too_short_a_history_holds_out_customers_instead(lacking):
    rows = monthly(months=6)
    rows["dates"] = rows["dates"][:6]
    last = TestPeriod((date(2023, 6, 1),), datetime(2023, 6, 1))
    limits = Enough(10_000, 1)
    if lacking == "churners":
        limits = Enough(2, 1)
        rows["is_churn"][:] = 0
        rows["is_churn"][::40] = 1
    split = split_of(period=last, enough=limits, **rows)
    (fold,) = split.folds
    assert fold.name == splits.HELD_OUT
    assert not set(rows["customer"][fold.train]) & set(rows["customer"][fold.judge])


def enough(split, is_churn, min_rows=2, min_positives=1):
    period = TestPeriod((date(2023, 5, 1),), datetime(2023, 5, 1))
    splits.require_enough(split, is_churn, enough=Enough(min_rows, min_positives), period=period)


def masks(fit, calibrate, test):
    fit, calibrate, test = (np.array(mask, dtype=bool) for mask in (fit, calibrate, test))
    return Split(fit | calibrate, test, (Fold(splits.HELD_OUT, fit, calibrate),))


def test_enough_of_everything_passes():
    enough(masks([1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]), np.tile([0.0, 1], 3))


@pytest.mark.parametrize("part", ["fitting", "calibration", "the test"])
def test_one_class_is_an_error_that_names_the_part(part):
    is_churn = np.tile([0.0, 1], 3)
    at = ["fitting", "calibration", "the test"].index(part) * 2
    is_churn[at : at + 2] = 0
    split = masks([1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1])
    with pytest.raises(DataError, match=f"in the rows for {part}.*0 churned of 2"):
        enough(split, is_churn)


def test_no_row_known_by_the_cutoff_is_an_error():
    split = masks([0, 0], [0, 0], [1, 1])
    with pytest.raises(DataError, match="known by 2023-05-01"):
        enough(split, np.array([0.0, 1]))


def test_too_few_rows_or_churners_are_an_error():
    split = masks([1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1])
    is_churn = np.tile([0.0, 1], 3)
    with pytest.raises(DataError, match="at least 3 rows"):
        enough(split, is_churn, min_rows=3)
    with pytest.raises(DataError, match="at least 2 churned"):
        enough(split, is_churn, min_positives=2)
