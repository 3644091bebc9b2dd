"""Which class opens the warehouse of a target."""

from __future__ import annotations

from ml.errors import HoldfastError
from ml.profile import DUCKDB, POSTGRES, SPARKS, credentials, engine_of
from ml.settings import Settings
from ml.warehouse.base import Warehouse
from ml.warehouse.duckdb import DuckDBWarehouse, known_error


def open_warehouse(settings: Settings, *, read_only: bool = False) -> Warehouse:
    """Open the warehouse of the settings' target.

    Parameters
    ----------
    settings
        The project and the target.
    read_only
        Whether nothing will be written; then it must exist already.

    Raises
    ------
    HoldfastError
        Where it is not there, cannot be reached, or the target is of an engine without a class.
    """
    engine = engine_of(settings)
    if engine == DUCKDB:
        return DuckDBWarehouse.open(settings.warehouse_path, read_only=read_only)
    # The classes of servers need packages that only their users have.
    if engine == POSTGRES:
        from ml.warehouse.postgres import PostgresWarehouse

        return PostgresWarehouse.open(credentials(settings), read_only=read_only)
    if engine in SPARKS:
        from ml.warehouse.spark import SparkWarehouse

        return SparkWarehouse.open(credentials(settings), read_only=read_only)
    raise HoldfastError(
        f"The target {settings.target} is of the type {engine}; expected "
        f"{', '.join((DUCKDB, POSTGRES, *SPARKS))}. Name another target with --target."
    )


def require_warehouse(settings: Settings) -> None:
    """Raise as `open_warehouse` would for reading: before work that would be in vain without."""
    open_warehouse(settings, read_only=True).close()


def failure_of(settings: Settings, message: str) -> HoldfastError | None:
    """Return what to do about what an engine said, where it is locked, full or not ours to write.

    Parameters
    ----------
    settings
        The project and the target.
    message
        What the engine said.
    """
    engine = engine_of(settings)
    if engine == DUCKDB:
        return known_error(settings.warehouse_path, message)
    if engine in SPARKS:
        from ml.warehouse import spark

        return spark.known_error(message)
    return None
