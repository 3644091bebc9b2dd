"""What a warehouse holds, as one number a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

LAYERS = ("silver", "gold")

Content = Mapping[str, str]
"""``schema.table`` to a number that any change of its rows changes, their order aside."""


def content_of(warehouse: Path) -> Content:
    """Return the content of every table of silver and gold, what they were built from included."""
    connection = duckdb.connect(str(warehouse), read_only=True)
    try:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where database_name = current_database() and schema_name in (?, ?) order by all",
            list(LAYERS),
        ).fetchall()
        content: dict[str, str] = {}
        for schema, table in tables:
            # The sum of 64-bit hashes counts rows that come twice, which an exclusive or would not.
            found = connection.execute(
                f"select count(*) || ' ' || coalesce(sum(hash(cells)::hugeint), 0) "
                f"from {schema}.{table} as cells"
            ).fetchone()
            assert found is not None
            content[f"{schema}.{table}"] = str(found[0])
        return content
    finally:
        connection.close()


def differing(one: Content, other: Content) -> tuple[str, ...]:
    """Return the tables whose content is not the same, or that only one side has."""
    return tuple(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))
