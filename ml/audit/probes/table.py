"""What is probed: columns as coded levels, a target of two classes, customers and days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Feature

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Kind = Literal["number", "date", "category"]

# More bins follow a curve more closely, fewer hold enough rows of the rarer class each.
BINS = 32
# Below, a repeated id is a fault of the file rather than a history.
_REPEATING = 0.8


@dataclass(frozen=True)
class Column:
    """One feature, its values replaced by the places of their levels.

    Attributes
    ----------
    levels
        The different values, rising: floats for numbers, days since 1970 for dates, else strings.
    codes
        For each row the place of its value in `levels`, `len(levels)` for null; shape `(n,)`.
    bins
        For each level its bin, then null's own bin: bins of about equally many rows for numbers
        and dates, each level its own for categories.
    contract
        What the project's feature contract says of it; None for a column of a file.
    """

    name: str
    kind: Kind
    levels: NDArray[Any]
    codes: NDArray[np.int32]
    bins: Integers
    contract: Feature | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether a higher level means more of something."""
        return self.kind != "category"

    @property
    def values(self) -> Floats:
        """The values of an ordered column, the codes of a category; nan for null."""
        levels = self.levels if self.is_ordered else np.arange(len(self.levels))
        return np.append(levels.astype(np.float64), np.nan)[self.codes]

    def at(self, rows: Bools | Integers) -> Column:
        """Return the column at some rows, with the same levels and bins."""
        return replace(self, codes=self.codes[rows])


def column_of(
    name: str, values: NDArray[Any], kind: Kind, contract: Feature | None = None
) -> Column:
    """Code values of shape `(n,)`; nan or None is null."""
    codes, levels = pd.factorize(values, sort=True)
    places = np.where(codes < 0, len(levels), codes).astype(np.int32)
    bins = np.arange(len(levels))
    if kind != "category" and len(levels) > BINS:
        sizes = np.bincount(places, minlength=len(levels) + 1)[:-1]
        middle = np.cumsum(sizes) - sizes / 2
        _, bins = np.unique(np.floor(middle * BINS / sizes.sum()), return_inverse=True)
    null_bin = bins[-1] + 1 if bins.size else 0
    return Column(name, kind, np.asarray(levels), places, np.append(bins, null_bin), contract)


@dataclass(frozen=True)
class History:
    """Rows of one customer that follow on each other.

    Attributes
    ----------
    first
        The first row of each customer.
    before, after
        The rows at both ends of each step.
    """

    first: Integers
    before: Integers
    after: Integers


@dataclass(frozen=True)
class Table:
    """A training set to probe, of n rows.

    Attributes
    ----------
    target
        Whether the row has the label; shape `(n,)`.
    group
        Codes 0, 1, ... of the rows' customers; every row its own where no customer is known.
    day
        Day of each row in days since 1970, nan where unknown; None where rows have no date.
    remarks
        What had to be taken in another way than it came.
    training_set_id
        Of the training set that the rows are of; None for a file.
    """

    name: str
    target_name: str
    columns: Sequence[Column]
    target: Bools
    group: Integers
    has_customers: bool
    day: Floats | None = None
    remarks: Sequence[str] = field(default=())
    training_set_id: str | None = None

    @cached_property
    def customers(self) -> int:
        """How many customers the rows have."""
        return int(self.group.max()) + 1

    @cached_property
    def by_customer(self) -> Integers:
        """The rows in the order of customer and day."""
        day = np.zeros(self.group.size) if self.day is None else self.day
        return np.lexsort((day, self.group))

    @cached_property
    def history(self) -> History | None:
        """What follows on what; None where customers come once or rows have no date."""
        if self.day is None or self.customers > _REPEATING * self.group.size:
            return None
        rows = self.by_customer
        follows = self.group[rows][1:] == self.group[rows][:-1]
        return History(rows[np.append(True, ~follows)], rows[:-1][follows], rows[1:][follows])
