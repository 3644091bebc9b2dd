"""Holdfast: the SQL of its model, as dbt compiled it, on the same Parquet files."""

from pathlib import Path

import duckdb

from bench.work import COLUMNS, Files, main

RENDERED = "gold_activity_windows.sql"


def run(files: Files) -> None:
    """Holdfast's gold."""
    inputs = files.activity.parent
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        connection.execute("attach ':memory:' as warehouse")
        for relation, path in {
            "silver.daily_activity": files.activity,
            "gold.observations": files.observations,
            "gold.as_of_dates": inputs / "as_of_dates.parquet",
        }.items():
            connection.execute(f"create schema if not exists warehouse.{relation.split('.')[0]}")
            connection.execute(
                f"create view warehouse.{relation} as select * from read_parquet('{path}')"
            )
        model = Path(inputs / RENDERED).read_text()
        connection.execute(
            f"copy (select {', '.join(COLUMNS)} from ({model})) to '{files.out}' (format parquet)"
        )


if __name__ == "__main__":
    main(run)
