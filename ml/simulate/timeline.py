"""Days, billing periods and seasons: all that is fixed before chance has a say.

Days are whole numbers counted from the first day of the simulated time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from ml.simulate.columns import DAY, Ints

BILLING_PERIODS = (1, 3, 12)
# The furthest that a true probability looks ahead, plus the longest break within grace.
LOOK_AHEAD_DAYS = 130
NO_DAY = 32_000

# Budgets are settled in January and before the summer: more customers leave then.
_SEASON = (1.12, 1.03, 0.97, 0.97, 1.0, 1.07, 1.05, 0.95, 0.98, 0.97, 0.95, 0.94)
_WEEKDAYS = (1.15, 1.25, 1.25, 1.2, 1.05, 0.3, 0.25)


@dataclass(frozen=True)
class Timeline:
    """The simulated days and the calendars over them.

    Attributes
    ----------
    start : datetime.date
        The first day.
    days : int
        How many days are simulated; the data ends at the midnight after the last.
    month_starts : numpy.ndarray of int64
        The firsts of months after the first day, up to the end itself.
    season, workload : numpy.ndarray of float64, shape (days + LOOK_AHEAD_DAYS,)
        How ready customers are to leave, and how much they work, against an average day.
    next_renewal, last_renewal : numpy.ndarray of int16, shape (3, anchors, days)
        By billing period, day of the first invoice and day: the first period boundary on or after
        the day (the first invoice itself is none), and the last boundary on or before it.
    """

    start: date
    days: int
    month_starts: Ints
    season: npt.NDArray[np.float64]
    workload: npt.NDArray[np.float64]
    next_renewal: npt.NDArray[np.int16]
    last_renewal: npt.NDArray[np.int16]

    @classmethod
    def build(cls, start: date, months: int) -> Timeline:
        """Return the timeline of so many months from a day on."""
        first = np.datetime64(start, "D")
        end = _add_months(first, np.array([months]))[0]
        days = int((end - first).astype(int))
        span = days + LOOK_AHEAD_DAYS
        dates = first + np.arange(span)
        month_of_year = dates.astype("M8[M]").astype(int) % 12
        weekday = (dates.astype(int) + 3) % 7
        workload = np.array(_WEEKDAYS)[weekday]
        day_of_month = (dates - dates.astype("M8[M]")).astype(int)
        workload[(month_of_year == 11) & (day_of_month >= 22)] *= 0.5
        workload[month_of_year == 7] *= 0.9
        is_first = (day_of_month == 0)[1 : days + 1]
        return cls(
            start=start,
            days=days,
            month_starts=(np.nonzero(is_first)[0] + 1).astype(np.int64),
            season=np.array(_SEASON)[month_of_year],
            workload=workload,
            next_renewal=_boundaries(first, days, span, following=True),
            last_renewal=_boundaries(first, days, span, following=False),
        )

    @property
    def epoch(self) -> int:
        """Midnight at the start of the first day, in microseconds since 1970."""
        return int(np.datetime64(self.start, "D").astype(int)) * DAY

    @property
    def end(self) -> int:
        """Midnight after the last day, in microseconds since 1970."""
        return self.epoch + self.days * DAY

    def midnight(self, days: Ints) -> Ints:
        """Return the start of each day, in microseconds since 1970."""
        return self.epoch + days.astype(np.int64) * DAY

    def date(self, day: int) -> date:
        """Return the calendar date of a day."""
        return self.start + timedelta(days=day)


def _add_months(day: np.datetime64, months: Ints) -> npt.NDArray[np.datetime64]:
    """Return the same day of later months, or their last day where they are shorter."""
    month = day.astype("M8[M]")
    place = (day - month.astype("M8[D]")).astype(int)
    target = month + months
    length = ((target + 1).astype("M8[D]") - target.astype("M8[D]")).astype(int)
    return np.asarray(target.astype("M8[D]") + np.minimum(place, length - 1))


def _boundaries(
    first: np.datetime64, days: int, span: int, *, following: bool
) -> npt.NDArray[np.int16]:
    """Return, for each billing period and first invoice, the boundary next to each day."""
    table = np.full((len(BILLING_PERIODS), days, span), NO_DAY, dtype=np.int16)
    every_day = np.arange(span)
    for number, period in enumerate(BILLING_PERIODS):
        steps = np.arange(0, span // 28 + 2 * period, period)
        for anchor in range(days):
            bounds = (_add_months(first + anchor, steps) - first).astype(int)
            if following:
                places = np.searchsorted(bounds[1:], every_day, side="left") + 1
            else:
                places = np.maximum(np.searchsorted(bounds, every_day, side="right") - 1, 0)
            table[number, anchor] = np.minimum(bounds[np.minimum(places, len(bounds) - 1)], NO_DAY)
    return table
