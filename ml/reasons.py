"""Reasons in words: the phrases of the features that a score's strongest parts come from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.contract import Feature
from ml.matrix import Rows
from ml.phrases import Before, looks_at_own_window, phrase, tells_change

Integers = NDArray[np.int64]

# Less than four weeks is no month to compare with; where the grid is monthly, the date before last
# may be the first that is far enough.
_NEAREST, _FARTHEST = timedelta(days=28), timedelta(days=62)
# No dot: Spark takes one in a name for a path.
_BEFORE = "before__"


@dataclass(frozen=True)
class Wording:
    """How the reasons of one as-of date are worded.

    Attributes
    ----------
    features
        The model's features by name.
    as_of_date
        The date that is explained.
    before_date
        The as-of date its values are compared with; None where there is none.
    """

    features: Mapping[str, Feature]
    as_of_date: date
    before_date: date | None

    @property
    def compared(self) -> list[str]:
        """Return the features whose values at the date before are told of."""
        if self.before_date is None:
            return []
        return [name for name, feature in self.features.items() if tells_change(feature)]

    def phrase(
        self,
        name: str,
        value: object,
        before: object = None,
        window_days: int | None = None,
        before_window_days: int | None = None,
    ) -> str:
        """Return a feature's value in words, with what it was at the date before."""
        feature = self.features[name]
        is_comparable = not looks_at_own_window(feature) or window_days == before_window_days
        earlier = None
        if self.before_date is not None and before is not None and is_comparable:
            weeks = round((self.as_of_date - self.before_date).days / 7)
            earlier = Before(before, weeks)  # type: ignore[arg-type]
        return phrase(feature, value, before=earlier, window_days=window_days)  # type: ignore[arg-type]


def date_before(dates: Collection[date], as_of_date: date) -> date | None:
    """Return the as-of date to compare with: the newest that is four weeks to two months before.

    Examples
    --------
    >>> date_before([date(2026, 1, 1), date(2026, 2, 1)], date(2026, 2, 10))
    datetime.date(2026, 1, 1)
    """
    near = [day for day in dates if _NEAREST <= as_of_date - day <= _FARTHEST]
    return max(near, default=None)


def select_list(wording: Wording) -> str:
    """Return the columns to read of `now` and `earlier`, two observations of one customer.

    The names come from the contract and were found among the relation's own columns.
    """
    now = ["customer_id", "observation_days", *wording.features]
    then = ["observation_days", *wording.compared] if wording.compared else []
    return ", ".join(
        [f'now."{name}"' for name in now]
        + [f'earlier."{name}" as "{_BEFORE}{name}"' for name in then]
    )


def reason_words(rows: Rows, wording: Wording, row: Integers, feature: pa.Array) -> pa.Array:
    """Return the words of reasons, one a reason.

    Parameters
    ----------
    rows
        The observations, with the columns of `select_list`.
    row
        The observation of each reason.
    feature
        Its feature.
    """
    encoded = feature.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    words = np.empty(len(row), dtype=object)
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        places = np.flatnonzero(codes == code)
        taken = [
            _taken(rows, column, row[places])
            for column in (
                name,
                f"{_BEFORE}{name}",
                "observation_days",
                f"{_BEFORE}observation_days",
            )
        ]
        if not looks_at_own_window(wording.features[name]):
            taken[2:] = [[None] * len(places)] * 2
        # Counts repeat: each pair of values is worded once.
        known = {values: wording.phrase(name, *values) for values in set(zip(*taken, strict=True))}
        words[places] = [known[values] for values in zip(*taken, strict=True)]
    return pa.array(words, pa.string())


def _taken(rows: Rows, column: str, row: Integers) -> Sequence[object]:
    if column not in rows.schema.names:
        return [None] * len(row)
    return list(rows.column(column).take(pa.array(row)).to_pylist())
