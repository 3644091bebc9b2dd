"""The rows that versions are judged on: never trained on, every label of their dates known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ml import matrix
from ml.errors import DataError
from ml.estimators import ChurnModel
from ml.fit import forecasts
from ml.metrics import Forecast, Outcomes
from ml.training_set import KEY_COLUMNS, LabelledRows, require_features
from ml.warehouse import Warehouse

_RELATION = "gold.training_set"
# A date of which only the short horizons are over would be judged on its newest customers alone.
_COMPLETE_DATES = """
    select dates.as_of_date
    from gold.as_of_dates as dates
    inner join gold.churn_labels as labels
        on dates.as_of_date = labels.as_of_date
    where dates.is_grid and dates.as_of_date >= $1
    group by dates.as_of_date
    having min(cast(labels.is_label_available as integer)) = 1
    order by dates.as_of_date
"""


@dataclass(frozen=True)
class JudgedRows:
    """Labelled rows that no judged version was trained on, with the features of all of them.

    Attributes
    ----------
    data
        Keys and labels, in key order.
    frame
        Features, `(n_observations, n_features)`, in the same order.
    """

    data: LabelledRows
    frame: pd.DataFrame

    @property
    def rows(self) -> int:
        """How many observations."""
        return len(self.frame)

    @property
    def dates(self) -> tuple[date, ...]:
        """The as-of dates, rising."""
        return tuple(matrix.as_date(day) for day in np.unique(self.data.as_of_date))

    @property
    def churners(self) -> int:
        """How many different customers churned."""
        return len(np.unique(self.data.customer[self.data.is_churn > 0]))

    @property
    def outcomes(self) -> Outcomes:
        """What happened to the rows."""
        return self.data.outcomes(np.ones(self.rows, dtype=bool))

    def forecasts(self, model: ChurnModel) -> Mapping[str, Forecast]:
        """Return what a version and its baselines say of the rows; the version by its family."""
        return forecasts(model, self.frame)


def read_rows(warehouse: Warehouse, models: Sequence[ChurnModel], *, since: date) -> JudgedRows:
    """Read the labelled rows from a date on, of every grid date whose labels are all known.

    Parameters
    ----------
    models
        Those that will be judged: their features are read.
    since
        The latest moment at which one of them was trained: what was observed from then on, none
        has seen.

    Raises
    ------
    ContractError
        Where the warehouse lacks a feature or has it with another type.
    DataError
        Where there is no such row.
    """
    types = {name: kind for model in models for name, kind in model.types.items()}
    for model in models:
        require_features(warehouse, _RELATION, model.types)
    days = [row["as_of_date"] for row in warehouse.query(_COMPLETE_DATES, [since]).to_pylist()]
    if not days:
        raise DataError(
            f"Expected dates from {since} on with every label known, to judge on what was not "
            "trained on; found none. Bring more data, then run `dbt build` and this again."
        )
    order = f"as_of_date, {warehouse.in_code_order('customer_id')}"
    condition = f"where {warehouse.is_one_of('as_of_date', '$1')} order by {order}"
    keys = warehouse.query(f"select {', '.join(KEY_COLUMNS)} from {_RELATION} {condition}", [days])
    # The names come from the models and were found among the relation's own columns.
    columns = ", ".join(f'"{name}"' for name in types)
    batches = warehouse.stream(f"select {columns} from {_RELATION} {condition}", [days])
    data = LabelledRows.of(keys)
    return JudgedRows(data, matrix.gather_frame(batches, types, keys.num_rows))
