"""How long before a churn the first alert came: a pure function over a series of scored dates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]

# The target that this project measures itself by: caught more than 45 days ahead.
EARLY_DAYS = 45


@dataclass(frozen=True)
class LeadTimes:
    """The churns of a series of scored dates, and the days between first alert and churn.

    Attributes
    ----------
    churns
        Churns seen: a customer and the moment it left.
    caught_days
        Whole days from the first alert to the churn, one for each churn with an alert, rising.
    in_reach
        Churns that came more than `early_days` after the first of all scored dates; of the
        others no alert could have come early enough.
    early
        Those of `in_reach` whose first alert came more than `early_days` ahead.
    early_days
        What early means, in days.
    """

    churns: int
    caught_days: NDArray[np.int64]
    in_reach: int
    early: int
    early_days: int

    @property
    def caught_share(self) -> float | None:
        """Share of the churns that had an alert; None without any churn."""
        return self.caught_days.size / self.churns if self.churns else None

    @property
    def median_days(self) -> float | None:
        """Median days ahead among the caught; None where none was."""
        return float(np.median(self.caught_days)) if self.caught_days.size else None

    @property
    def early_share_of_caught(self) -> float | None:
        """Share of the caught that were caught early; None where none was."""
        if not self.caught_days.size:
            return None
        return float(np.mean(self.caught_days > self.early_days))

    @property
    def early_share(self) -> float | None:
        """Share of the churns in reach that were caught early; None where none was in reach."""
        return self.early / self.in_reach if self.in_reach else None


def lead_times(
    customer: NDArray[np.int64],
    as_of_date: Days,
    is_alert: NDArray[np.bool_],
    churned_at: Days,
    *,
    early_days: int = EARLY_DAYS,
) -> LeadTimes:
    """Return how long before each churn its first alert came.

    An alert warns of a churn when its own row's label is that churn: an alert of last year, after
    which the customer stayed for a whole horizon, was a false one. No lead is therefore longer than
    the horizon, and where that is 30 days none is early.

    Parameters
    ----------
    customer
        Codes of the rows' customers, of shape `(n,)`.
    as_of_date
        The rows' dates; a row for every customer scored at each date.
    is_alert
        Whether the row is an alert.
    churned_at
        When the customer churned within the row's horizon; NaT where it did not.

    Examples
    --------
    >>> days = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[D]")
    >>> left = np.full(3, np.datetime64("2024-03-20"))
    >>> found = lead_times(np.zeros(3, int), days, np.array([False, True, True]), left)
    >>> found.caught_days.tolist(), found.early
    ([48], 1)
    """
    dates = as_of_date.astype("datetime64[D]")
    rows = ~np.isnat(churned_at)
    left = churned_at[rows].astype("datetime64[D]")
    keys = np.stack([customer[rows], left.astype(np.int64)], axis=1)
    churns, churn = np.unique(keys, axis=0, return_inverse=True)
    ahead = (left - dates[rows]).astype(np.int64)
    longest = np.full(len(churns), -1, dtype=np.int64)
    is_warning = is_alert[rows]
    np.maximum.at(longest, churn.reshape(-1)[is_warning], ahead[is_warning])
    first = dates.min().astype(np.int64) if dates.size else 0
    in_reach = churns[:, 1] - first > early_days
    return LeadTimes(
        churns=len(churns),
        caught_days=np.sort(longest[longest >= 0]),
        in_reach=int(in_reach.sum()),
        early=int((in_reach & (longest > early_days)).sum()),
        early_days=early_days,
    )
