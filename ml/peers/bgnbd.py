"""BG/NBD: the usual model of customers without a contract, fitted by the library `lifetimes`.

Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way", Marketing Science 24(2):
while alive, a customer buys at random at a rate of its own (gamma over customers), and after each
purchase it leaves with a chance of its own (beta over customers).
"""

from __future__ import annotations

from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.errors import DataError, HoldfastError

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]

DAYS_A_WEEK = 7.0
# Of the sum of the parameters' squares; the least that works changes the fit least.
PENALTIES = (0.0, 1e-6, 1e-4, 0.01, 0.1)


@dataclass(frozen=True)
class Purchases:
    """What BG/NBD knows of each customer, arrays of shape `(n_customers,)`.

    Attributes
    ----------
    repeats
        Days with a purchase after the first such day.
    last
        Weeks from the first purchase to the last.
    age
        Weeks from the first purchase to the end of what is known.
    """

    repeats: Floats
    last: Floats
    age: Floats

    def at(self, rows: NDArray[np.int64]) -> Purchases:
        """Return the purchases of some customers."""
        return Purchases(self.repeats[rows], self.last[rows], self.age[rows])


@dataclass(frozen=True)
class BgNbd:
    """The parameters: purchase rates are gamma(r, alpha), chances to leave are beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def is_alive(self, of: Purchases) -> Floats:
        """Return the chance that each customer is still one; 1 without a repeat purchase.

        Fader, Hardie and Lee (2008), "Computing P(alive) using the BG/NBD model", in logarithms.
        """
        log_odds_gone = (
            (self.r + of.repeats) * np.log((self.alpha + of.age) / (self.alpha + of.last))
            + np.log(self.a)
            - np.log(self.b + np.maximum(of.repeats, 1) - 1)
        )
        with np.errstate(over="ignore"):
            alive: Floats = np.where(of.repeats > 0, 1 / (1 + np.exp(log_odds_gone)), 1.0)
        return alive

    def silence(self, of: Purchases, weeks: Floats | float) -> Floats:
        """Return the chance that each customer buys nothing in the weeks to come.

        A customer who is alive leaves only after a purchase, so it is silent with the chance of no
        purchase at its rate, of which the data leave a gamma(r + repeats, alpha + age).
        """
        known = self.alpha + of.age
        quiet = (known / (known + weeks)) ** (self.r + of.repeats)
        silent: Floats = 1 - self.is_alive(of) * (1 - quiet)
        return silent


def summarise(customer: NDArray[np.int64], bought_on: Days, until: np.datetime64) -> Purchases:
    """Return what the purchases of customers 0 .. n - 1 come to.

    Several purchases of a day are one, as in the paper.

    Parameters
    ----------
    customer, bought_on
        Of each purchase up to the day `until`, of shape `(n_purchases,)`.

    Raises
    ------
    DataError
        If there is no purchase, or a customer has none.
    """
    days = np.unique(
        np.stack([customer, bought_on.astype("datetime64[D]").astype(np.int64)], axis=1), axis=0
    )
    count = np.bincount(days[:, 0]) if days.size else np.zeros(0)
    if not count.size or count.min() == 0:
        raise DataError(
            f"Expected a purchase of every customer, found none for {int((count == 0).sum())} of "
            f"{count.size}. BG/NBD knows customers from their first purchase on."
        )
    # Sorted by customer and day, so each customer's first and last day stand at its ends.
    end = np.cumsum(count)
    first, last = days[end - count, 1], days[end - 1, 1]
    today = until.astype("datetime64[D]").astype(np.int64)
    return Purchases(
        repeats=(count - 1).astype(np.float64),
        last=(last - first) / DAYS_A_WEEK,
        age=(today - first) / DAYS_A_WEEK,
    )


def fit(of: Purchases) -> BgNbd:
    """Return the parameters of most likelihood; see `fit_library`."""
    return parameters(fit_library(of))


def fit_library(of: Purchases) -> Any:
    """Return the library's own fitted model.

    Where the likelihood rises without end (few have left yet, and chances to leave come out all
    alike), the parameters are held back by the least of `PENALTIES` that gives them an end.

    Raises
    ------
    HoldfastError
        If the library is not installed, or finds no parameters.
    """
    try:
        from lifetimes import BetaGeoFitter
        from lifetimes.utils import ConvergenceError
    except ImportError as error:
        raise HoldfastError(
            "Expected the library lifetimes for the comparison with BG/NBD, found none. Install "
            "the extra: `pip install 'holdfast[peers]'`."
        ) from error
    for penalty in PENALTIES:
        # It prints what its optimizer said before it raises, and numpy warns on the way.
        with suppress(ConvergenceError), redirect_stdout(StringIO()), np.errstate(all="ignore"):
            return BetaGeoFitter(penalizer_coef=penalty).fit(of.repeats, of.last, of.age)
    raise HoldfastError(
        "Expected BG/NBD to have a maximum of likelihood on these purchases, but lifetimes found "
        "none. Compare at dates with more repeat purchases."
    )


def parameters(fitted: Any) -> BgNbd:
    """Return the parameters of the library's fitted model."""
    return BgNbd(**{name: float(fitted.params_[name]) for name in ("r", "alpha", "a", "b")})
