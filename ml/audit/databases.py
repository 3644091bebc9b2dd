"""Scratch databases on the server of a PostgreSQL warehouse, for audits to build in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ml.settings import Settings
from ml.warehouse import open_warehouse
from ml.warehouse.base import quoted, quoted_text

# A folder with a database of its own says so here, so that both go together.
_MARK = "scratch_database"


def create_database(settings: Settings, folder: Path) -> str:
    """Make an empty database for the scratch project in a folder, and return its name."""
    name = "holdfast_" + re.sub(r"\W", "_", f"{folder.parent.name}_{folder.name}").lower()[-50:]
    # Noted first: what is made and not noted would never go.
    with (folder / _MARK).open("a", encoding="utf-8") as noted:
        noted.write(f"{name}\n")
    _execute(settings, f"create database {quoted(name)} template template0")
    return name


def copy_database(settings: Settings, folder: Path, name: str, copy: str) -> None:
    """Make a database the copy of another; one of that name goes first."""
    with (folder / _MARK).open("a", encoding="utf-8") as noted:
        noted.write(f"{copy}\n")
    _execute(settings, f"drop database if exists {quoted(copy)} with (force)")
    _execute(settings, f"create database {quoted(copy)} template {quoted(name)}")


def drop_databases(settings: Settings, folder: Path) -> None:
    """Drop the databases of the scratch projects in a folder."""
    for mark in sorted(folder.rglob(_MARK)):
        for name in dict.fromkeys(mark.read_text(encoding="utf-8").split()):
            _execute(settings, f"drop database if exists {quoted(name)} with (force)")


def set_parameters(settings: Settings, name: str, values: Mapping[str, str]) -> None:
    """Set parameters of the engine for every connection to a database from now on."""
    for parameter, value in values.items():
        _execute(settings, f"alter database {quoted(name)} set {parameter} = {quoted_text(value)}")


def spilled_bytes(settings: Settings, name: str) -> int:
    """Return how many bytes the queries of a database have written for want of memory."""
    with open_warehouse(settings) as warehouse:
        found = warehouse.query(
            "select coalesce(max(temp_bytes), 0) as bytes from pg_stat_database where datname = ?",
            [name],
        )
    return int(found["bytes"][0].as_py())


def copy_tables(real: Settings, own: Settings, managed: tuple[str, ...]) -> None:
    """Copy the tables of all schemas but the managed ones into a scratch database."""
    # The driver is there only where a server is used.
    from ml.warehouse.postgres import PostgresWarehouse

    with open_warehouse(real, read_only=True) as source, open_warehouse(own) as target:
        assert isinstance(source, PostgresWarehouse) and isinstance(target, PostgresWarehouse)
        for relation in source.relations():
            if not relation.is_view and relation.schema not in managed:
                source.copy_table(str(relation), target)


def _execute(settings: Settings, statement: str) -> None:
    with open_warehouse(settings) as warehouse:
        warehouse.execute(statement)
