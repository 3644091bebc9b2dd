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
    """

    by: By = "tier"
    power: float = 1.0

    def weights(self, tier_weight: Floats, monthly_revenue: Floats) -> Floats:
        """Return a weight for every row, `(n_observations,)`, above 0."""
        worth = tier_weight if self.by == "tier" else 1 + monthly_revenue
        return np.asarray(worth**self.power)
