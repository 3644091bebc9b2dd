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

from ml.errors import DataError
from ml.peers import bgnbd
from ml.peers.bgnbd import BgNbd, Days
from ml.peers.rolling import Origin

Integers = NDArray[np.int64]

CORRELATION = 0.626
PARAMETERS = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
LAST_KNOWN = np.datetime64("1997-09-30")
WEEKS = 39
_COLUMNS = ["customer", "sample_customer", "bought_on", "cds", "dollars"]


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


def reproduce(sample: pd.DataFrame) -> Published:
    """Fit BG/NBD on the sample's first 39 weeks, and hold it against the 39 that follow."""
    customer, names = pd.factorize(sample["customer"], sort=True)
    days = sample["bought_on"].to_numpy().astype("datetime64[D]")
    is_known = days <= LAST_KNOWN
    known = bgnbd.summarise(customer[is_known], days[is_known], LAST_KNOWN)
    fitted = bgnbd.fit_library(known)
    expected = np.asarray(
        fitted.conditional_expected_number_of_purchases_up_to_time(
            WEEKS, known.repeats, known.last, known.age
        )
    )
    actual = _purchase_days(customer[~is_known], days[~is_known], len(names))
    return Published(
        customers=len(names),
        found=bgnbd.parameters(fitted),
        correlation=float(np.corrcoef(expected, actual)[0, 1]),
        expected_purchases=float(expected.sum()),
        actual_purchases=int(actual.sum()),
    )


@dataclass(frozen=True)
class CountCorrelation:
    """How one estimator's chance of a purchase correlates with the purchases that came."""

    estimator: str
    customers: int
    correlation: float


def correlate(sample: pd.DataFrame, origins: Sequence[Origin]) -> tuple[CountCorrelation, ...]:
    """Return the correlations on the paper's customers and weeks, where an origin is their date.

    None of the estimators says here how much a customer will buy, only whether: no label of 39
    weeks was known on that date, so there was nothing to learn counts from.
    """
    day = (LAST_KNOWN + 1).astype(date)
    for origin in origins:
        if origin.as_of_date == day:
            break
    else:
        return ()
    later = sample[sample["bought_on"] > pd.Timestamp(LAST_KNOWN)]
    actual = later.drop_duplicates(["customer", "bought_on"]).groupby("customer").size()
    rows = np.isin(origin.customers, sample["customer"].unique())
    counts = actual.reindex(origin.customers[rows], fill_value=0).to_numpy(dtype=np.float64)
    return tuple(
        CountCorrelation(
            estimator,
            int(rows.sum()),
            float(np.corrcoef(1 - forecast.probability[rows], counts)[0, 1]),
        )
        for estimator, forecast in origin.forecasts.items()
    )


def _purchase_days(customer: Integers, days: Days, customers: int) -> Integers:
    once = np.unique(np.stack([customer, days.astype(np.int64)], axis=1), axis=0)
    return np.bincount(once[:, 0], minlength=customers)
