"""Schedules of arrival: when each raw row comes, goes and comes again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ml.audit.rows import write_rows

Rows = Mapping[str, pa.Table]
"""Raw rows by entity."""

# Of the rows that can go and come again, this share does.
DELETED = 0.05
# Of the rows that come in the order in which they are known, this share comes later.
LATE = 0.15


@dataclass(frozen=True)
class Schedule:
    """When each raw row comes, goes and comes again.

    Attributes
    ----------
    order
        How the rows come, in words.
    batches
        How many batches they come in.
    comes
        For each entity, the batch in which each row comes first.
    goes
        For each entity, the rows that the source deletes: place to the batch in which it goes and
        the one in which it is sent again.
    """

    order: str
    batches: int
    comes: Mapping[str, tuple[int, ...]]
    goes: Mapping[str, Mapping[int, tuple[int, int]]]

    def deliver(self, rows: Rows, batch: int, raw: Path) -> None:
        """Write the files that a batch brings, and rewrite those it takes rows from."""
        for entity, table in rows.items():
            goes = self.goes.get(entity, {})
            files: dict[int, list[int]] = {}
            for place, came in enumerate(self.comes[entity]):
                gone, again = goes.get(place, (self.batches, self.batches))
                if came <= batch < gone:
                    files.setdefault(came, []).append(place)
                elif again <= batch:
                    files.setdefault(again, []).append(place)
            rewritten = {
                self.comes[entity][place] for place, (gone, _) in goes.items() if gone == batch
            }
            for number in {batch, *rewritten}:
                # The first batch brings a file of each entity, if an empty one.
                if files.get(number) or number == 0 or number in rewritten:
                    write_rows(table, raw / entity / f"{number}.parquet", files.get(number, []))


def draw_schedule(rows: Rows, seed: int) -> Schedule:
    """Draw a schedule for these rows; the same seed gives the same."""
    chance = random.Random(seed)
    order = tuple(_ORDERS)[seed % len(_ORDERS)]
    batches = chance.randint(2, 4)
    comes = {
        entity: tuple(_ORDERS[order](table, batches, chance)) for entity, table in rows.items()
    }
    goes: dict[str, dict[int, tuple[int, int]]] = {}
    for entity, table in rows.items():
        early = [place for place, batch in enumerate(comes[entity]) if batch < batches - 2]
        for place in chance.sample(early, min(len(early), round(DELETED * table.num_rows))):
            gone = chance.randint(comes[entity][place] + 1, batches - 2)
            goes.setdefault(entity, {})[place] = (gone, chance.randint(gone + 1, batches - 1))
    return Schedule(order, batches, comes, goes)


def _as_known(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    known: list[datetime] = table["known_at"].to_pylist()
    if not known:
        return []
    first, span = min(known), max(known) - min(known)
    shares = [(each - first) / span if span else 0.0 for each in known]
    return [min(int(share * batches), batches - 1) for share in shares]


def _some_late(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    return [
        chance.randint(batch, batches - 1) if chance.random() < LATE else batch
        for batch in _as_known(table, batches, chance)
    ]


def _newest_first(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    return [batches - 1 - batch for batch in _as_known(table, batches, chance)]


def _any_order(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    return [chance.randrange(batches) for _ in range(table.num_rows)]


def _by_entity(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    return [chance.randrange(batches)] * table.num_rows


def _by_customer(table: pa.Table, batches: int, chance: random.Random) -> list[int]:
    # One salt an entity: what belongs together does not come together, either.
    salt = chance.random()
    return [
        random.Random(f"{salt} {customer}").randrange(batches)
        for customer in table["customer_id"].to_pylist()
    ]


_ORDERS: Mapping[str, Callable[[pa.Table, int, random.Random], list[int]]] = {
    "as known, some late": _some_late,
    "any order": _any_order,
    "newest first": _newest_first,
    "by entity": _by_entity,
    "by customer": _by_customer,
}
