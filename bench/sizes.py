"""How large each form of the benchmark is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One form of the benchmark.

    Attributes
    ----------
    customers, months
        The demo company that everyone works on.
    rounds
        How often everyone runs, in turn.
    sampled_customers
        Customers for those who cannot do all in a time worth waiting for.
    growth_customers
        Companies to build from raw files to gold.
    scored, trained
        Observations to score with reasons, and to train on.
    """

    name: str
    customers: int
    months: int
    rounds: int
    sampled_customers: int
    growth_customers: tuple[int, ...]
    scored: int
    trained: int


SMALL = Size("small", 2_000, 24, 2, 100, (500, 2_000), 20_000, 12_000)
FULL = Size("full", 50_000, 24, 3, 200, (10_000, 50_000, 200_000, 1_000_000), 1_000_000, 600_000)
SIZES = {size.name: size for size in (SMALL, FULL)}
SEED = 7
