import hashlib
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import splits
from ml.errors import DataError
from ml.splits import DateLabels, Split, TestPeriod, customer_share, split_rows, trainable_at

FROM = datetime(2023, 1, 1)
UNTIL = datetime(2024, 1, 1)


def labels(day, observations=10, labelled=10, known_days=44):
    known = datetime.combine(day, datetime.min.time()) + timedelta(days=known_days)
    return DateLabels(day, observations, labelled, known)


def period_of(dates, test_dates=1, data_from=FROM, data_until=UNTIL):
    return splits.test_period(dates, test_dates, data_from=data_from, data_until=data_until)


def days(*texts):
    return np.array(texts, dtype="datetime64[us]")


def split_of(as_of_date, label_known_at, period, customer=None, share=0.3, seed=7):
    count = len(as_of_date)
    customers = [f"c{number}" for number in range(max(count, 9))]
    return split_rows(
        customer=np.arange(count) if customer is None else customer,
        customers=customers,
        as_of_date=as_of_date,
        label_known_at=label_known_at,
        period=period,
        calibration_share=share,
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
    assert (known[split.fit | split.calibrate] <= cutoff).all()
    assert (as_of_date[split.fit | split.calibrate] < cutoff).all()
    assert (as_of_date[split.test] >= cutoff).all()
    assert not set(customer[split.fit]) & set(customer[split.calibrate])
    overlap = split.fit.astype(int) + split.calibrate + split.test
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


def enough(split, is_churn, **limits):
    period = TestPeriod((date(2023, 5, 1),), datetime(2023, 5, 1))
    splits.require_enough(
        split, is_churn, **{"min_rows": 2, "min_positives": 1, **limits}, period=period
    )


def masks(fit, calibrate, test):
    return Split(*(np.array(mask, dtype=bool) for mask in (fit, calibrate, test)))


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
