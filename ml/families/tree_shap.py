"""Exact TreeSHAP of LightGBM's small trees, from tables.

A tree divides its value among features as the Shapley values of a game: what the tree says where
the nodes of some features send a row their way, and the others send it both ways, in the
proportions of the training rows (path-dependent TreeSHAP; Lundberg et al. 2020, "From local
explanations to global understanding with explainable AI for trees"). A row enters that only by
which way each node sends it. Eight leaves have seven nodes, so there are 128 patterns, and what
each is worth is worked out once a tree. Then a row costs a comparison a node and a look-up a
feature, instead of a walk over all paths: twenty times less than LightGBM's own, equal to it but
for rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# 2 ** 8 patterns fit a byte, and 2 ** 8 sets of features are quickly gone through.
_MOST_NODES = 8
# What is looked at together should stay in the processor's cache.
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Node:
    """An inner node: which rows go left.

    Attributes
    ----------
    column
        The encoded column that it looks at.
    threshold
        Numbers up to it go left; nan where the node looks at categories.
    categories
        Codes that go left; empty for numbers.
    is_null_zero
        Whether null reads as 0: in training the column had none.
    is_null_left
        Whether null goes left, where it does not read as 0.
    """

    column: int
    threshold: float
    categories: tuple[int, ...]
    is_null_zero: bool
    is_null_left: bool


@dataclass(frozen=True)
class Tree:
    """A tree as a table.

    Attributes
    ----------
    nodes
        The inner nodes; node `i` is bit `i` of a row's pattern, set where it sends the row left.
    columns
        The encoded columns that the tree looks at.
    parts
        `(n_columns, n_patterns)`: the part of each column.
    base
        The tree's value of no particular row.
    """

    nodes: tuple[Node, ...]
    columns: tuple[int, ...]
    parts: Floats
    base: float


def tabulate(booster: lightgbm.Booster) -> tuple[Tree, ...] | None:
    """Return the trees of a booster as tables; None where one is too large for that."""
    found = []
    for info in booster.dump_model()["tree_info"]:
        tree = _table(info["tree_structure"])
        if tree is None:
            return None
        found.append(tree)
    return tuple(found)


def contributions(trees: Sequence[Tree], encoded: Floats, threads: int) -> Floats:
    """Return `(n, n_encoded + 1)`: the sum of the trees' parts by column, and last the base.

    A row's parts are the same whatever rows stand beside it and however many threads there are.
    """
    found = np.empty((len(encoded), encoded.shape[1] + 1))
    found[:, -1] = sum(tree.base for tree in trees)

    def fill(start: int) -> None:
        part = slice(start, start + _ROWS_AT_ONCE)
        found[part, :-1] = _parts(trees, np.ascontiguousarray(encoded[part].T)).T

    with ThreadPoolExecutor(max(1, threads)) as pool:
        # The list takes what the threads raise.
        list(pool.map(fill, range(0, len(encoded), _ROWS_AT_ONCE)))
    return found


def _parts(trees: Sequence[Tree], columns: Floats) -> Floats:
    """Return the parts of some rows, columns first in both."""
    total = np.zeros_like(columns)
    is_null: dict[int, Flags] = {}
    for tree in trees:
        pattern = np.zeros(columns.shape[1], dtype=np.uint8)
        for bit, node in enumerate(tree.nodes):
            if node.column not in is_null:
                is_null[node.column] = np.isnan(columns[node.column])
            goes_left = _goes_left(node, columns[node.column], is_null[node.column])
            pattern |= np.left_shift(goes_left.view(np.uint8), bit)
        place = pattern.astype(np.intp)
        for column, parts in zip(tree.columns, tree.parts, strict=True):
            total[column] += parts.take(place)
    return total


def _goes_left(node: Node, values: Floats, is_null: Flags) -> Flags:
    """Return which rows a node sends left, as LightGBM decides it."""
    if node.categories:
        # A code is a whole number; null and what was never seen go right.
        return np.isin(values, node.categories)
    # Null compares as larger than any threshold.
    goes_left: Flags = values <= node.threshold
    sends_null_left = node.threshold >= 0 if node.is_null_zero else node.is_null_left
    return goes_left | is_null if sends_null_left else goes_left


def _table(root: Mapping[str, Any]) -> Tree | None:
    """Return the table of one tree; None where it cannot be one."""
    inner = list(_inner_nodes(root))
    if len(inner) > _MOST_NODES:
        return None
    nodes = []
    for raw in inner:
        node = _node(raw)
        if node is None:
            return None
        nodes.append(node)
    columns = tuple(sorted({node.column for node in nodes}))
    bits = {id(raw): bit for bit, raw in enumerate(inner)}
    places = {column: place for place, column in enumerate(columns)}
    patterns = np.arange(2 ** len(nodes))
    sets = np.arange(2 ** len(columns))

    def worth(raw: Mapping[str, Any]) -> Floats:
        """Return what a subtree says, `(n_sets, n_patterns)`."""
        if "leaf_value" in raw:
            return np.full((len(sets), len(patterns)), float(raw["leaf_value"]))
        left, right = worth(raw["left_child"]), worth(raw["right_child"])
        bit = bits[id(raw)]
        goes_left = (patterns >> bit & 1).astype(bool)[None, :]
        is_in = (sets >> places[nodes[bit].column] & 1).astype(bool)[:, None]
        share = _rows(raw["left_child"]) / _rows(raw)
        both_ways = share * left + (1 - share) * right
        return np.where(is_in, np.where(goes_left, left, right), both_ways)

    value = worth(root)
    return Tree(tuple(nodes), columns, _shapley(value, len(columns)), float(value[0, 0]))


def _shapley(value: Floats, players: int) -> Floats:
    """Return Shapley values, `(n_players, n_games)`, of games given as `(2 ** n_players, n_games)`.

    Player i's part is the mean of what it adds to the players before it, over all orders.

    Examples
    --------
    >>> _shapley(np.array([[0.0], [1.0], [3.0], [10.0]]), 2).ravel().tolist()
    [4.0, 6.0]
    """
    parts = np.zeros((players, value.shape[1]))
    for player in range(players):
        others = [other for other in range(players) if other != player]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for before in combinations(others, size):
                there = sum(1 << other for other in before)
                parts[player] += weight * (value[there | 1 << player] - value[there])
    return parts


def _inner_nodes(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "leaf_value" not in raw:
        yield raw
        yield from _inner_nodes(raw["left_child"])
        yield from _inner_nodes(raw["right_child"])


def _node(raw: Mapping[str, Any]) -> Node | None:
    """Return a node as LightGBM wrote it; None for what these trees never have."""
    column, threshold = int(raw["split_feature"]), raw["threshold"]
    if raw["decision_type"] == "==":
        codes = tuple(int(code) for code in str(threshold).split("||"))
        return Node(column, np.nan, codes, is_null_zero=False, is_null_left=False)
    if raw["decision_type"] != "<=" or raw["missing_type"] not in ("None", "NaN"):
        return None
    return Node(
        column,
        float(threshold),
        (),
        is_null_zero=raw["missing_type"] == "None",
        is_null_left=bool(raw["default_left"]),
    )


def _rows(raw: Mapping[str, Any]) -> int:
    """Return how many training rows came to a node or a leaf."""
    return int(raw["leaf_count"] if "leaf_value" in raw else raw["internal_count"])
