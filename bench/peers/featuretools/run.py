"""featuretools: `calculate_feature_matrix` with cut-off times, one call a window.

A row's time index is its day; what it holds is known from `known_date` on, which is what a
secondary time index is for.
"""

import featuretools as ft
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from featuretools.primitives import Max, NumUnique, Sum

from bench.work import COLUMNS, KEYS, LAST, MEASURES, WINDOWS, Files, column, main

_EPOCH = pd.Timestamp("1970-01-01")


def entity_set(files: Files) -> ft.EntitySet:
    """Return customers and their days."""
    table = pq.read_table(files.activity)
    minutes = table.schema.get_field_index("minutes")
    table = table.set_column(minutes, "minutes", table["minutes"].cast(pa.float64()))
    activity = table.to_pandas(date_as_object=False)
    # The day as a number beside the time index: what is known late must be hidden with its row.
    activity["day"] = (activity["activity_date"] - _EPOCH).dt.days.astype(float)
    activity["day_name"] = activity["day"].astype(int).astype(str)
    activity["row"] = range(len(activity))
    observations = pq.read_table(files.observations, columns=["customer_id"]).to_pandas()
    customers = pd.DataFrame({"customer_id": observations["customer_id"].unique()})
    found = ft.EntitySet("activity")
    found.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    found.add_dataframe(
        dataframe_name="activity",
        dataframe=activity[activity["customer_id"].isin(customers["customer_id"])],
        index="row",
        time_index="activity_date",
        secondary_time_index={"known_date": [*MEASURES, "day", "day_name"]},
        logical_types={
            "day": "Double",
            "day_name": "Categorical",
            **dict.fromkeys(MEASURES, "Double"),
        },
    )
    found.add_relationship("customers", "customer_id", "activity", "customer_id")
    return found


def run(files: Files) -> None:
    """Featuretools with cut-off times."""
    found = entity_set(files)
    keys = pq.read_table(files.observations, columns=list(KEYS)).to_pandas(date_as_object=False)
    cutoffs = keys.rename(columns={"as_of_date": "time"})
    days = ft.IdentityFeature(found["activity"].ww["day"])
    sums = [
        ft.AggregationFeature(
            ft.IdentityFeature(found["activity"].ww[name]), "customers", primitive=Sum
        )
        for name in MEASURES
    ]
    names_of_days = ft.IdentityFeature(found["activity"].ww["day_name"])
    sums.append(ft.AggregationFeature(names_of_days, "customers", primitive=NumUnique))
    names = [*MEASURES, "active_days"]
    options = {
        "entityset": found,
        "cutoff_time": cutoffs,
        "cutoff_time_in_index": True,
        "include_cutoff_time": False,
    }
    parts = []
    for window in WINDOWS:
        part = ft.calculate_feature_matrix(sums, training_window=f"{window} days", **options)
        part.columns = [column(name, window) for name in names]
        parts.append(part)
    last = ft.AggregationFeature(days, "customers", primitive=Max)
    part = ft.calculate_feature_matrix([last], **options)
    part.columns = [LAST]
    parts.append(part)
    wide = pd.concat(parts, axis=1).reset_index().rename(columns={"time": "as_of_date"})
    numbers = [name for name in COLUMNS if name not in (*KEYS, LAST)]
    wide[numbers] = wide[numbers].astype(float).fillna(0)
    wide[LAST] = _EPOCH + pd.to_timedelta(wide[LAST].astype(float), unit="D")
    wide[list(COLUMNS)].to_parquet(files.out, index=False)


if __name__ == "__main__":
    main(run)
