"""What every model is held against: recency alone and the base rate."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]

RECENCY = "recency"
BASE_RATE = "base_rate"

# In this order: an inactivity project has orders but may have no activity at all.
RECENCY_FEATURES = ("days_since_last_activity", "days_since_last_order")


@dataclass(frozen=True)
class RecencyAlone:
    """The baseline that ranks by one feature: the days since the customer was last seen.

    The score is the days themselves; null (never seen, or too long ago) is one day beyond the
    longest of the training rows. The probability is isotonic in the days.
    """

    feature: str
    beyond: float
    regression: IsotonicRegression

    @classmethod
    def fit(cls, feature: str, days: Floats, target: Floats) -> "RecencyAlone":
        """Fit on training rows; `days` may hold nan."""
        beyond = float(np.nanmax(days)) + 1 if np.isfinite(days).any() else 1.0
        regression = IsotonicRegression(increasing=True, out_of_bounds="clip")
        regression.fit(np.where(np.isnan(days), beyond, days), target)
        return cls(feature, beyond, regression)

    def score(self, days: Floats) -> Floats:
        """Return the days, null filled."""
        return np.where(np.isnan(days), self.beyond, days)

    def probability(self, days: Floats) -> Floats:
        """Return the churn rate of training rows of such recency."""
        return np.asarray(self.regression.predict(self.score(days)), dtype=np.float64)


@dataclass(frozen=True)
class BaseRate:
    """The baseline that knows nothing but the churn rate of the training rows."""

    rate: float

    @classmethod
    def fit(cls, target: Floats) -> "BaseRate":
        """Fit on training rows."""
        return cls(float(target.mean()))

    def probability(self, rows: int) -> Floats:
        """Return the rate, once a row."""
        return np.full(rows, self.rate)


def recency_feature(frame: pd.DataFrame) -> str | None:
    """Return the recency feature that has values in these rows, or None."""
    for name in RECENCY_FEATURES:
        if name in frame.columns and frame[name].notna().any():
            return name
    return None
