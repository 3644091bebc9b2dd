"""Real-life dirt: late facts, repeats, corrections, and rows that break the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.simulate.columns import HOUR, NULL, SECOND, Columns, Ints, rows_of, stack, take

LATE_SHARE = 0.03
MOST_LATE_DAYS = 45
REPEAT_SHARE = 0.005
BROKEN_SHARE = 0.002
CORRECTED_SHARE = 0.02

_Break = Callable[[np.random.Generator, Columns], Columns]


@dataclass(frozen=True)
class Entity:
    """How an entity is soiled.

    Attributes
    ----------
    name, key : str
        The entity and its key column.
    is_fact : bool
        Facts come late and are never corrected; entities are corrected by a later version.
    event : str
        A column of event time that a broken row sets after its own `known_at`.
    corrected : mapping of str to int
        Columns whose wrong value a later version puts right, and the size of their vocabulary;
        0 stands for a number, which is off by a tenth.
    limits : mapping of str to sequence of int
        Columns with a range, and values out of it.
    changed : str
        The column in which a second fact with the same key differs.
    """

    name: str
    key: str
    is_fact: bool
    event: str
    corrected: Mapping[str, int]
    limits: Mapping[str, Sequence[int]]
    changed: str = ""


@dataclass(frozen=True)
class DirtCounts:
    """How many rows of each kind of dirt were written."""

    late: int
    repeats: int
    corrections: int
    broken: Mapping[str, int]


def soil(
    rng: np.random.Generator, entity: Entity, columns: Columns, end: int, spare_id: int
) -> tuple[Columns, DirtCounts]:
    """Return the rows as they arrive, cut at the end of the data, and what is wrong with them.

    Parameters
    ----------
    end : int
        Microseconds since 1970; what is known then or later does not exist yet.
    spare_id : int
        From here on, ids that no sound row has.
    """
    late = corrections = np.empty(0, dtype=np.int64)
    if entity.is_fact:
        columns, late = _delay(rng, columns)
    elif entity.corrected:
        columns, corrections = _correct(rng, entity, columns)
    marks = np.zeros(rows_of(columns), dtype=np.int64)
    marks[late] = 1
    marks[corrections] = 2
    exists = columns["known_at"] < end
    columns, marks = take(columns, exists), marks[exists]
    broken, counts = _broken(rng, entity, columns, end, spare_id)
    columns = stack([columns, *broken])
    repeated = np.nonzero(rng.random(rows_of(columns)) < REPEAT_SHARE)[0]
    columns = stack([columns, take(columns, repeated)])
    return columns, DirtCounts(
        late=int((marks == 1).sum()),
        repeats=len(repeated),
        corrections=int((marks == 2).sum()),
        broken=counts,
    )


def _delay(rng: np.random.Generator, columns: Columns) -> tuple[Columns, Ints]:
    """Return the facts with some known 1 to 45 days later, and which."""
    late = np.nonzero(rng.random(rows_of(columns)) < LATE_SHARE)[0]
    known_at = columns["known_at"].copy()
    known_at[late] += rng.integers(24 * 3_600, MOST_LATE_DAYS * 86_400 - 3_600, len(late)) * SECOND
    return columns | {"known_at": known_at}, late


def _correct(rng: np.random.Generator, entity: Entity, columns: Columns) -> tuple[Columns, Ints]:
    """Return the versions with some of the last ones of a key wrong and put right later.

    Only last versions are corrected, so that no other version can come between.
    """
    count = rows_of(columns)
    order = np.lexsort((columns["known_at"], columns[entity.key]))
    keys = columns[entity.key][order]
    # An entity may be empty; then there is no last key either.
    last = order[np.append(keys[1:] != keys[:-1], True)[:count]]
    rows = np.sort(last[rng.random(len(last)) < CORRECTED_SHARE])
    names = list(entity.corrected)
    which = rng.integers(0, len(names), len(rows))
    right = take(columns, rows)
    wait = rng.integers(2 * 3_600, 20 * 86_400, len(rows)) * SECOND
    right["known_at"] = right["known_at"] + wait
    wrong = {name: values.copy() for name, values in columns.items()}
    for place, name in enumerate(names):
        chosen = rows[which == place]
        values = columns[name][chosen]
        size = entity.corrected[name]
        if size:
            other = (values + rng.integers(1, size, len(chosen))) % size
        else:
            other = values + np.maximum(values // 10, 1)
        wrong[name][chosen] = np.where(values == NULL, NULL, other)
    return stack([wrong, right]), count + np.arange(len(rows))


def _broken(
    rng: np.random.Generator, entity: Entity, columns: Columns, end: int, spare_id: int
) -> tuple[list[Columns], dict[str, int]]:
    """Return rows that break the contract, and how many by reason."""
    reasons: dict[str, _Break] = {"missing_key": _without(entity.key)}
    if entity.key != "customer_id":
        reasons["missing_customer"] = _without("customer_id")
    reasons["event_after_known"] = _from_the_future(entity.event)
    for name, values in entity.limits.items():
        reasons[f"bad_{name}"] = _out_of_range(name, values)
    if entity.is_fact:
        reasons["conflicting_fact"] = _contradicted(entity.changed, end)
    total = int(rng.binomial(rows_of(columns), BROKEN_SHARE))
    rows = rng.integers(0, max(rows_of(columns), 1), total)
    kinds = rng.integers(0, len(reasons), total)
    broken, counts = [], {}
    for place, (reason, spoil) in enumerate(reasons.items()):
        copies = take(columns, rows[kinds == place])
        if reason != "conflicting_fact":
            # A key of its own: no sound row stands or falls with a broken one.
            copies[entity.key] = spare_id + np.arange(rows_of(copies))
            spare_id += rows_of(copies)
        spoilt = spoil(rng, copies)
        broken.append(spoilt)
        counts[reason] = rows_of(spoilt)
    return broken, counts


def _without(name: str) -> _Break:
    def spoil(rng: np.random.Generator, columns: Columns) -> Columns:
        return columns | {name: np.full(rows_of(columns), NULL)}

    return spoil


def _from_the_future(event: str) -> _Break:
    def spoil(rng: np.random.Generator, columns: Columns) -> Columns:
        ahead = rng.integers(2, 20 * 24, rows_of(columns)) * HOUR
        return columns | {event: columns["known_at"] + ahead}

    return spoil


def _out_of_range(name: str, values: Sequence[int]) -> _Break:
    def spoil(rng: np.random.Generator, columns: Columns) -> Columns:
        chosen = rng.integers(0, len(values), rows_of(columns))
        return columns | {name: np.array(values, dtype=np.int64)[chosen]}

    return spoil


def _contradicted(changed: str, end: int) -> _Break:
    """Break by a second fact under a known key, later known and with another value."""

    def spoil(rng: np.random.Generator, columns: Columns) -> Columns:
        _, first = np.unique(columns["known_at"], return_index=True)
        columns = take(columns, np.sort(first))
        other = columns[changed] + rng.integers(1, 9, rows_of(columns))
        known_at = columns["known_at"] + rng.integers(3_600, 5 * 86_400, rows_of(columns)) * SECOND
        spoilt = columns | {changed: other, "known_at": known_at}
        return take(spoilt, known_at < end)

    return spoil
