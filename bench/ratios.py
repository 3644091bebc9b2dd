"""The arithmetic of a comparison: rounds in which everyone ran once, and ratios within a round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.process import Usage


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing: the middle one and the outermost."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of one or more values.

        Examples
        --------
        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, least=1.0, most=3.0)
        """
        if not values:
            raise ValueError("a spread needs a value; none came")
        return cls(median(values), min(values), max(values))


def ratios(
    rounds: Sequence[Mapping[str, Usage]], name: str, base: str, figure: str, scale: float = 1.0
) -> Spread:
    """Return how many times as much of a figure `name` took as `base`, round by round.

    The ratio is taken inside each round, where both ran within minutes on the same machine; the
    spread is over rounds.

    Parameters
    ----------
    figure
        A field of `Usage`.
    scale
        What to multiply with where `name` did another share of the work than `base`.
    """
    return Spread.of(
        [
            scale * getattr(one[name], figure) / getattr(one[base], figure)
            for one in rounds
            if name in one and base in one
        ]
    )


def slope(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """Return the exponent b of ``figure = a * size ** b`` between the first and the last size.

    1 means that twice the rows take twice as much.

    Examples
    --------
    >>> slope([10, 1_000], [2, 200])
    1.0
    """
    if len(sizes) != len(figures) or len(sizes) < 2 or sizes[0] == sizes[-1]:
        raise ValueError("a slope needs a figure for each of two different sizes or more")
    return math.log(figures[-1] / figures[0]) / math.log(sizes[-1] / sizes[0])
