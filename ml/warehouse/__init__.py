"""The warehouse as Python sees it: Arrow out, Arrow in, a slice replaced in one transaction."""

from ml.warehouse.base import Params, Relation, Warehouse
from ml.warehouse.duckdb import DuckDBWarehouse, known_error
from ml.warehouse.opening import failure_of, open_warehouse, require_warehouse

__all__ = [
    "DuckDBWarehouse",
    "Params",
    "Relation",
    "Warehouse",
    "failure_of",
    "known_error",
    "open_warehouse",
    "require_warehouse",
]
