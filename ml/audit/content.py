"""What a warehouse holds, as one number a table."""

from __future__ import annotations

from collections.abc import Mapping

from ml.settings import Settings
from ml.warehouse import open_warehouse

LAYERS = ("silver", "gold")

Content = Mapping[str, str]
"""``schema.table`` to a number that any change of its rows changes, their order aside."""


def content_of(settings: Settings) -> Content:
    """Return the content of every table of silver and gold, what they were built from included."""
    with open_warehouse(settings, read_only=True) as warehouse:
        return {
            str(relation): warehouse.content(str(relation))
            for relation in warehouse.relations(LAYERS)
            if not relation.is_view
        }


def differing(one: Content, other: Content) -> tuple[str, ...]:
    """Return the tables whose content is not the same, or that only one side has."""
    return tuple(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))
