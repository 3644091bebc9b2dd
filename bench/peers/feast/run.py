"""Feast: a feature view over a table of computed features, joined by `get_historical_features`.

Feast serves features and does not compute them: as its documentation says, a job of one's own
writes them with a timestamp. Here that job is the SQL that a team would write, in DuckDB, and
writes only the observations' own dates, the least that Feast can do with.
"""

from datetime import timedelta

import duckdb
import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, Int64, UnixTimestamp

from bench.work import COLUMNS, KEYS, LAST, MEASURES, WINDOWS, Files, column, main


def compute(files: Files) -> str:
    """Return the SQL of the job that computes the features."""
    sums = ",\n".join(
        f"sum({measure}) filter (where activity_date >= as_of_date - {days}) "
        f"as {column(measure, days)}"
        for measure in MEASURES
        for days in WINDOWS
    )
    active = ",\n".join(
        f"count(distinct activity_date) filter (where activity_date >= as_of_date - {days}) "
        f"as {column('active_days', days)}"
        for days in WINDOWS
    )
    return f"""
        select
            observations.customer_id,
            observations.as_of_date::timestamp as event_timestamp,
            {sums},
            {active},
            max(activity_date)::timestamp as {LAST}
        from read_parquet('{files.observations}') as observations
        inner join read_parquet('{files.activity}') as activity
            on observations.customer_id = activity.customer_id
            and activity.known_date < observations.as_of_date
            and activity.activity_date < observations.as_of_date
        group by observations.customer_id, observations.as_of_date
    """


def run(files: Files) -> None:
    """Feast with the DuckDB offline store."""
    computed = files.scratch / "features.parquet"
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        connection.execute(f"copy ({compute(files)}) to '{computed}' (format parquet)")
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(files.scratch / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(files.scratch / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    names = [name for name in COLUMNS if name not in KEYS]
    kinds = {
        name: UnixTimestamp if name == LAST else Float64 if "minutes" in name else Int64
        for name in names
    }
    customer = Entity(name="customer", join_keys=["customer_id"])
    view = FeatureView(
        name="activity",
        entities=[customer],
        ttl=timedelta(days=1),
        schema=[Field(name=name, dtype=kind) for name, kind in kinds.items()],
        source=FileSource(path=str(computed), timestamp_field="event_timestamp"),
    )
    store.apply([customer, view])
    observations = pd.read_parquet(files.observations, columns=list(KEYS))
    observations["event_timestamp"] = pd.to_datetime(observations.pop("as_of_date"), utc=True)
    joined = store.get_historical_features(
        entity_df=observations, features=[f"activity:{name}" for name in names]
    ).to_arrow()
    pq.write_table(joined.rename_columns({"event_timestamp": "as_of_date"}), files.out)


if __name__ == "__main__":
    main(run)
