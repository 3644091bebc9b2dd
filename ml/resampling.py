"""Figures on bootstrap samples of customers: a few samples at a time, on all processors."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")

# Weights held at once in one thread: 2 MB, which a processor's cache keeps.
_CELLS_AT_ONCE = 1 << 18


def over_samples(
    figure: Callable[[NDArray[np.float64]], Value],
    customer: NDArray[np.int64],
    customer_weights: NDArray[np.float64],
) -> list[Value]:
    """Return a figure of some rows for all bootstrap samples, in pieces and in their order.

    Parameters
    ----------
    figure
        Gives it for weights of the rows, `(some_samples, n)`. Threads call it side by side.
    customer
        Codes of the rows' customers, `(n,)`.
    customer_weights
        How often each customer counts in each sample, `(n_samples, n_customers)`.
    """
    at_once = max(1, _CELLS_AT_ONCE // max(1, customer.size))
    starts = range(0, len(customer_weights), at_once)

    def part(start: int) -> Value:
        return figure(customer_weights[start : start + at_once][:, customer])

    if len(starts) < 2:
        return [part(start) for start in starts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(part, starts))
