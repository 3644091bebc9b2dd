"""Who may train on what.

A label is a fact only from `label_known_at` on. A model trained at time T may use the rows whose
label was known by T, and no other: neither to fit nor to calibrate. Cutting by `as_of_date` alone
would let a row from just before T in, whose label tells what happened after T.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from ml.errors import DataError

Mask = NDArray[np.bool_]
Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class DateLabels:
    """How far the labels of one grid date have come."""

    as_of_date: date
    observations: int
    labelled: int
    label_known_at: datetime | None
    """The latest moment at which a label of this date is known, even where that is to come."""

    @property
    def is_complete(self) -> bool:
        """Whether every observation of the date has its label."""
        return 0 < self.observations == self.labelled


@dataclass(frozen=True)
class TestPeriod:
    """The dates kept for the test, and the moment from which nothing may train."""

    dates: tuple[date, ...]
    cutoff: datetime
    """T: midnight of the first test date."""

    # pytest would take the name for a test class.
    __test__ = False


@dataclass(frozen=True)
class Split:
    """Three masks over the rows, disjoint; a row in none of them is purged.

    Attributes
    ----------
    fit, calibrate
        Rows whose label was known at the cutoff; no customer is in both. Those of `calibrate` are
        held out while calibration is fitted and the family chosen; the model that is kept was
        fitted on both.
    test
        Rows of the test dates.
    """

    fit: Mask
    calibrate: Mask
    test: Mask

    @property
    def purged(self) -> int:
        """Return how many rows may neither train nor test."""
        return int(self.fit.size - (self.fit | self.calibrate | self.test).sum())


def trainable_at(label_known_at: Times, moment: np.datetime64 | datetime) -> Mask:
    """Return which rows a model trained at `moment` may use; a label never known is out.

    Examples
    --------
    >>> known = np.array(["2024-03-01", "2024-03-02", "NaT"], dtype="datetime64[us]")
    >>> trainable_at(known, np.datetime64("2024-03-01")).tolist()
    [True, False, False]
    """
    return np.asarray(label_known_at <= np.datetime64(moment))


def customer_share(customer_id: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on the customer and the seed alone.

    Stable over runs, machines and the other customers, so a customer who was once kept for
    calibration is always kept for it.
    """
    hashed = hashlib.md5(f"{seed}:{customer_id}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def is_calibration_customer(customers: Sequence[str], share: float, seed: int) -> Mask:
    """Return which customers are kept for calibration, about `share` of them."""
    return np.fromiter(
        (customer_share(customer, seed) < share for customer in customers),
        dtype=bool,
        count=len(customers),
    )


def test_period(
    dates: Sequence[DateLabels], test_dates: int, *, data_from: datetime, data_until: datetime
) -> TestPeriod:
    """Choose the newest `test_dates` dates of which every row is labelled.

    Raises
    ------
    DataError
        If there is no observation, no label yet, or too few dates with all their labels.
    """
    observed = sorted(
        (labels for labels in dates if labels.observations), key=lambda each: each.as_of_date
    )
    if not observed:
        raise DataError(
            "Expected customers to learn from, found no observation on any grid date. "
            "Check that the inputs hold active customers (`gold.observations` lists them) and "
            "that the data spans more than one step of the var `cadence`."
        )
    if not any(labels.labelled for labels in observed):
        raise _no_label(observed, data_from=data_from, data_until=data_until)
    complete = [labels.as_of_date for labels in observed if labels.is_complete]
    if len(complete) < test_dates:
        raise DataError(
            f"Expected {test_dates} grid dates with every label known for the test, found "
            f"{len(complete)} (data until {data_until:%Y-%m-%d}). Bring more history, or set "
            "`train.test_dates` lower."
        )
    chosen = tuple(complete[-test_dates:])
    return TestPeriod(chosen, datetime(chosen[0].year, chosen[0].month, chosen[0].day))


# pytest collects functions by this name where a test module imports them.
test_period.__test__ = False  # type: ignore[attr-defined]


def split_rows(
    *,
    customer: NDArray[np.int64],
    customers: Sequence[str],
    as_of_date: Times,
    label_known_at: Times,
    period: TestPeriod,
    calibration_share: float,
    seed: int,
) -> Split:
    """Part labelled rows into those that fit, calibrate and test.

    Parameters
    ----------
    customer
        Codes of the rows' customers, of shape `(n,)`.
    customers
        The customer ids that the codes number.
    as_of_date, label_known_at
        Of shape `(n,)`, without null.
    """
    is_test = np.isin(as_of_date.astype("datetime64[D]"), np.array(period.dates, "datetime64[D]"))
    may_train = trainable_at(label_known_at, period.cutoff) & ~is_test
    calibrates = is_calibration_customer(customers, calibration_share, seed)[customer]
    return Split(fit=may_train & ~calibrates, calibrate=may_train & calibrates, test=is_test)


def require_enough(
    split: Split,
    is_churn: NDArray[np.float64],
    *,
    min_rows: int,
    min_positives: int,
    period: TestPeriod,
) -> None:
    """Raise unless every part can do its work.

    Raises
    ------
    DataError
        If too few rows are left, too few of them churned, or a part has one class only.
    """
    usable = int((split.fit | split.calibrate).sum())
    if usable == 0:
        raise DataError(
            f"Expected rows whose label was known by {period.cutoff:%Y-%m-%d}, the first test "
            "date, found none: all labels came later. Bring more history, set "
            "`train.test_dates` lower, or shorten the horizons in the seed `cohorts`."
        )
    parts = {
        "fitting": split.fit,
        "calibration": split.calibrate,
        f"the test ({period.dates[0]} to {period.dates[-1]})": split.test,
    }
    for name, part in parts.items():
        rows, churned = int(part.sum()), int(is_churn[part].sum())
        if rows == 0 or churned in (0, rows):
            raise DataError(
                f"Expected both churned and retained customers in the rows for {name}, found "
                f"{churned} churned of {rows}. Nothing can be learnt from one class: check the "
                "var `churn_definition` and its horizons, or bring more history."
            )
    rows, churned = int(split.fit.sum()), int(is_churn[split.fit].sum())
    if rows < min_rows or min(churned, rows - churned) < min_positives:
        raise DataError(
            f"Expected at least {min_rows} rows to fit with at least {min_positives} churned and "
            f"as many retained, found {rows} rows, {churned} churned. Bring more history or more "
            "customers, or lower `train.min_train_rows` and `train.min_positives`."
        )


def _no_label(
    observed: Sequence[DateLabels], *, data_from: datetime, data_until: datetime
) -> DataError:
    spans = [
        labels.label_known_at - datetime.combine(labels.as_of_date, datetime.min.time())
        for labels in observed
        if labels.label_known_at is not None
    ]
    covered = (data_until - data_from).days
    if spans and min(spans).days > covered:
        return DataError(
            f"The horizon is longer than the data: a label needs {min(spans).days} days (horizon, "
            f"grace and label delay), the data covers {covered}. Bring more history, or shorten "
            "the horizons in the seed `cohorts`."
        )
    known = [labels.label_known_at for labels in observed if labels.label_known_at is not None]
    first = f"the first will be known at {min(known):%Y-%m-%d}" if known else "none has a date"
    return DataError(
        f"No label is mature yet: {first}, the data ends at {data_until:%Y-%m-%d}. "
        "Bring data up to that day, or shorten the horizons in the seed `cohorts`."
    )
