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

HELD_OUT = "held_out"
# A date with fewer churned or retained customers tells nothing of a family.
LEAST_JUDGED = 10
# With 50 churners a rate is known to about a quarter of itself; with fewer, customers held out
# from all dates calibrate better than the few that churned after the newest ones.
LEAST_VALIDATED = 50


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
class Fold:
    """One judgement before the test: masks of the rows that learn, and of those that judge.

    Attributes
    ----------
    name
        The as-of date that is judged, or `held_out`.
    """

    name: str
    train: Mask
    judge: Mask


@dataclass(frozen=True)
class Split:
    """Who trains, who tests, and the folds within the rows that train.

    Attributes
    ----------
    train
        Rows whose label was known at the cutoff: the model that is kept is fitted on all of them.
    test
        Rows of the test dates.
    folds
        What families are chosen, calibrated and given their thresholds by. The judged rows of no
        two folds overlap, and each fold's rows learn from what was known before.
    """

    train: Mask
    test: Mask
    folds: tuple[Fold, ...]

    @property
    def validate(self) -> Mask:
        """Return the rows that any fold judges."""
        return np.asarray(np.any([fold.judge for fold in self.folds], axis=0))

    @property
    def fold(self) -> NDArray[np.int64]:
        """Return the number of the fold that judges each row of `validate`, in their order."""
        number = np.full(self.train.size, -1)
        for at, fold in enumerate(self.folds):
            number[fold.judge] = at
        return number[self.validate]

    @property
    def purged(self) -> int:
        """Return how many rows may neither train nor test."""
        return int(self.train.size - (self.train | self.test).sum())


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


@dataclass(frozen=True)
class Learnable:
    """What splitting looks at: arrays of shape `(n_observations,)`, without null.

    Attributes
    ----------
    customer
        Codes of the rows' customers.
    customers
        The customer ids that the codes number.
    """

    customer: NDArray[np.int64]
    customers: Sequence[str]
    as_of_date: Times
    label_known_at: Times
    is_churn: NDArray[np.float64]


@dataclass(frozen=True)
class Enough:
    """How many rows can carry a fit: at least `rows`, `positives` of each class among them."""

    rows: int
    positives: int

    def holds(self, is_churn: NDArray[np.float64]) -> bool:
        """Return whether these labels suffice."""
        churned = int(is_churn.sum())
        rarer = min(churned, is_churn.size - churned)
        return is_churn.size >= self.rows and rarer >= self.positives


def split_rows(
    rows: Learnable,
    period: TestPeriod,
    dates: Sequence[DateLabels],
    *,
    validation_dates: int,
    calibration_share: float,
    enough: Enough,
    seed: int,
) -> Split:
    """Part labelled rows into those that train and test, with folds among the first.

    The folds look ahead as the model will have to: each judges one of the newest dates whose
    labels were all known at the cutoff, by what was known on that very date. Where the history is
    too short for that, one fold holds out a share of the customers instead.

    Parameters
    ----------
    dates
        How far the labels of each grid date have come.
    validation_dates
        How many folds there are at most.
    calibration_share
        The share of customers held out where no fold can look ahead.
    """
    days = rows.as_of_date.astype("datetime64[D]")
    is_test = np.isin(days, np.array(period.dates, "datetime64[D]"))
    train = trainable_at(rows.label_known_at, period.cutoff) & ~is_test
    folds = rolling_folds(
        rows, dates, until=period.cutoff, count=validation_dates, enough=enough, among=train
    )
    if sum(int(rows.is_churn[fold.judge].sum()) for fold in folds) < LEAST_VALIDATED:
        held_out = is_calibration_customer(rows.customers, calibration_share, seed)[rows.customer]
        folds = (Fold(HELD_OUT, train & ~held_out, train & held_out),)
    return Split(train=train, test=is_test, folds=folds)


def rolling_folds(
    rows: Learnable,
    dates: Sequence[DateLabels],
    *,
    until: datetime,
    count: int,
    enough: Enough,
    among: Mask | None = None,
) -> tuple[Fold, ...]:
    """Return folds that each judge one date by what was known on it, oldest first.

    Parameters
    ----------
    until
        Every label of a judged date was known by then.
    count
        How many of the newest dates that carry a fold are taken.
    among
        The rows that may be judged; None: all.
    """
    known = [
        labels.as_of_date
        for labels in dates
        if labels.is_complete and labels.label_known_at is not None
        if labels.label_known_at <= until
    ]
    days = rows.as_of_date.astype("datetime64[D]")
    folds: list[Fold] = []
    for day in sorted(known, reverse=True):
        if len(folds) == count:
            break
        judge = days == np.datetime64(day)
        if among is not None:
            judge &= among
        train = trainable_at(rows.label_known_at, np.datetime64(day))
        churned = int(rows.is_churn[judge].sum())
        if not enough.holds(rows.is_churn[train]):
            # Older dates have learnt even less.
            break
        if min(churned, int(judge.sum()) - churned) >= LEAST_JUDGED:
            folds.append(Fold(str(day), train, judge))
    return tuple(reversed(folds))


def require_enough(
    split: Split, is_churn: NDArray[np.float64], *, enough: Enough, period: TestPeriod
) -> None:
    """Raise unless every part can do its work.

    Raises
    ------
    DataError
        If too few rows are left, too few of them churned, or a part has one class only.
    """
    if not split.train.any():
        raise DataError(
            f"Expected rows whose label was known by {period.cutoff:%Y-%m-%d}, the first test "
            "date, found none: all labels came later. Bring more history, set "
            "`train.test_dates` lower, or shorten the horizons in the seed `cohorts`."
        )
    learns = split.folds[0].train
    parts = {
        "fitting": learns,
        "calibration": split.validate,
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
    if not enough.holds(is_churn[learns]):
        rows, churned = int(learns.sum()), int(is_churn[learns].sum())
        raise DataError(
            f"Expected at least {enough.rows} rows to fit with at least {enough.positives} "
            f"churned and as many retained, found {rows} rows, {churned} churned. Bring more "
            "history or more customers, or lower `train.min_train_rows` and "
            "`train.min_positives`."
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
