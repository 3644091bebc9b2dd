"""The published figure of BG/NBD on CDNOW, reproduced before anything is compared with it.

Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way", table 2 and the text on the
holdout period: 2,357 customers, 39 weeks to estimate, 39 to predict, with r .243, alpha 4.414, a
.793, b 2.426, and a correlation of .626 between expected and actual purchases of each customer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml import metrics
from ml.errors import DataError
from ml.metrics import Estimate
from ml.peers import bgnbd
from ml.peers.bgnbd import BgNbd, Days
from ml.peers.rolling import Origin

Floats = NDArray[np.float64]

CORRELATION = 0.626
PARAMETERS = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
LAST_KNOWN = np.datetime64("1997-09-30")
WEEKS = 39
_COLUMNS = ["customer", "sample_customer", "bought_on", "cds", "dollars"]


@dataclass(frozen=True)
class Holdout:
    """The paper's customers: what BG/NBD expects of each, and what came, `(n_customers,)`."""

    customers: NDArray[np.object_]
    expected: Floats
    actual: Floats
    found: BgNbd


@dataclass(frozen=True)
class Published:
    """What the library finds where the paper gives a figure.

    Attributes
    ----------
    correlation
        Of expected and actual purchases in the 39 weeks of the holdout, over customers.
    expected_purchases, actual_purchases
        Of all customers in the holdout.
    """

    customers: int
    found: BgNbd
    correlation: float
    expected_purchases: float
    actual_purchases: int

    @property
    def is_reproduced(self) -> bool:
        """Whether correlation and parameters are the published ones, to the digits published."""
        pairs = zip(asdict(self.found).values(), asdict(PARAMETERS).values(), strict=True)
        # The published parameters are rounded: half of the last digit, and the optimum is flat.
        return round(self.correlation, 3) == CORRELATION and all(
            abs(found - published) <= 0.002 for found, published in pairs
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        return {**asdict(self), "is_reproduced": self.is_reproduced}


def read_sample(path: Path) -> pd.DataFrame:
    """Return the purchases of the paper's sample: `customer` (as in the full file), `bought_on`.

    Raises
    ------
    DataError
        If there is no such file, or its lines are others.
    """
    try:
        lines = pd.read_csv(path, sep=r"\s+", header=None, dtype=str)
    except (OSError, ValueError) as error:
        raise DataError(
            f"Expected CDNOW's sample at {path}, could not read it: {' '.join(str(error).split())}."
            " It is CDNOW_sample.txt from https://www.brucehardie.com/datasets/."
        ) from error
    if lines.shape[1] != len(_COLUMNS):
        raise DataError(
            f"Expected {len(_COLUMNS)} columns in CDNOW's sample ({', '.join(_COLUMNS)}), found "
            f"{lines.shape[1]} in {path}. Name CDNOW_sample.txt, not the full file."
        )
    lines.columns = pd.Index(_COLUMNS)
    return lines.assign(bought_on=pd.to_datetime(lines["bought_on"], format="%Y%m%d"))


def hold_out(sample: pd.DataFrame) -> Holdout:
    """Fit BG/NBD on the sample's first 39 weeks, and set it beside the 39 that follow."""
    customer, names = pd.factorize(sample["customer"], sort=True)
    days = sample["bought_on"].to_numpy().astype("datetime64[D]")
    is_known = days <= LAST_KNOWN
    known = bgnbd.summarise(customer[is_known], days[is_known], LAST_KNOWN)
    fitted = bgnbd.fit_library(known)
    expected = fitted.conditional_expected_number_of_purchases_up_to_time(
        WEEKS, known.repeats, known.last, known.age
    )
    return Holdout(
        customers=np.asarray(names, dtype=object),
        expected=np.asarray(expected, dtype=np.float64),
        actual=_purchase_days(customer[~is_known], days[~is_known], len(names)),
        found=bgnbd.parameters(fitted),
    )


def reproduce(of: Holdout) -> Published:
    """Return the figures that the paper gives."""
    return Published(
        customers=of.customers.size,
        found=of.found,
        correlation=_correlation(of.expected, of.actual),
        expected_purchases=float(of.expected.sum()),
        actual_purchases=int(of.actual.sum()),
    )


@dataclass(frozen=True)
class CountCorrelation:
    """How the purchases that a chance of silence stands for correlate with those that came.

    Attributes
    ----------
    gap
        The correlation less that of the purchases BG/NBD expects, paired over customers.
    """

    estimator: str
    customers: int
    correlation: float
    gap: Estimate


def correlate(
    of: Holdout, origins: Sequence[Origin], *, samples: int, rng: np.random.Generator
) -> tuple[CountCorrelation, ...]:
    """Return the correlations on the paper's customers and weeks, where an origin is their date.

    The estimators say whether a customer buys, not how often: no label of 39 weeks was known on
    that date, so no count could be learnt. A chance p of silence is read as the -log(p) purchases
    of a customer who buys at random at a steady rate (Poisson).

    Parameters
    ----------
    samples
        How many bootstrap samples of customers.
    """
    day = (LAST_KNOWN + 1).astype(date)
    at_day = [each for each in origins if each.as_of_date == day]
    if not at_day:
        return ()
    (origin,) = at_day
    row = pd.Index(of.customers).get_indexer(pd.Index(origin.customers))
    is_theirs = row >= 0
    expected, actual = of.expected[row[is_theirs]], of.actual[row[is_theirs]]
    drawn = rng.integers(0, actual.size, (samples, actual.size))

    def correlation(estimator: str) -> CountCorrelation:
        probability = origin.forecasts[estimator].probability[is_theirs]
        implied = -np.log(np.maximum(probability, np.finfo(float).tiny))
        gaps = [
            _correlation(implied[some], actual[some]) - _correlation(expected[some], actual[some])
            for some in drawn
        ]
        value = _correlation(implied, actual)
        gap = metrics.estimate(value - _correlation(expected, actual), np.array(gaps))
        return CountCorrelation(estimator, actual.size, value, gap)

    return tuple(correlation(estimator) for estimator in origin.forecasts)


def _correlation(some: Floats, other: Floats) -> float:
    return float(np.corrcoef(some, other)[0, 1])


def _purchase_days(customer: NDArray[np.int64], days: Days, customers: int) -> Floats:
    once = np.unique(np.stack([customer, days.astype(np.int64)], axis=1), axis=0)
    return np.bincount(once[:, 0], minlength=customers).astype(np.float64)
