"""How much each training row counts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

By = Literal["tier", "revenue"]


@dataclass(frozen=True)
class Weighting:
    """Rows count by their value tier's weight, or by their monthly revenue, to a power.

    Attributes
    ----------
    by
        `tier`: the seed's weight of the value tier. `revenue`: one more than the monthly revenue,
        so that a customer who pays nothing counts a little.
    power
        1: in full; 0: every row once.
    class_balance
        Churned rows count more by the ratio of retained to churned ones to this power: 1 gives
        both classes the same weight in all, 0 none more than the other. Scores rise with it, so
        it wants calibration.
    """

    by: By = "tier"
    power: float = 1.0
    class_balance: float = 0.0

    def weights(
        self,
        tier_weight: Floats,
        monthly_revenue: Floats,
        is_churn: Floats,
        *,
        counts: tuple[int, int] | None = None,
    ) -> Floats:
        """Return a weight for every row, `(n_observations,)`, above 0.

        Parameters
        ----------
        counts
            How many of all training rows churned, and how many there are, where these are a part
            of them; None: of these.
        """
        worth = tier_weight if self.by == "tier" else 1 + monthly_revenue
        churned, rows = counts or (int(is_churn.sum()), is_churn.size)
        ratio = (rows - churned) / churned if churned else 1.0
        return np.asarray(worth**self.power * np.where(is_churn > 0, ratio**self.class_balance, 1))
