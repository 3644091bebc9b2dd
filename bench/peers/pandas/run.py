"""pandas: for each as-of date, the rows that it can see, grouped by customer once a window.

A loop over dates on slices of a sorted frame. Also written, and slower: `merge_asof` on prefix
sums, which needs the ledger sorted by time alone, once an edge.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.work import COLUMNS, KEYS, LAST, MEASURES, WINDOWS, Files, column, main

COUNTED = [*MEASURES, "active_days"]


def read_activity(files: Files) -> pd.DataFrame:
    """Return the ledger by activity date; decimals as floats, which pandas adds up natively."""
    table = pq.read_table(files.activity, read_dictionary=["customer_id"]).unify_dictionaries()
    minutes = table.schema.get_field_index("minutes")
    table = table.set_column(minutes, "minutes", table["minutes"].cast(pa.float64()))
    frame = table.to_pandas(date_as_object=False)
    return frame.sort_values("activity_date", kind="stable", ignore_index=True)


def at_date(activity: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return the features of all customers who had any activity in the longest window."""
    days = activity["activity_date"]
    edges = [as_of - pd.Timedelta(days=window) for window in WINDOWS]
    start, stop = days.searchsorted(edges[-1]), days.searchsorted(as_of)
    seen = activity.iloc[start:stop]
    seen = seen[seen["known_date"] < as_of]
    # A day that became known in parts is one active day.
    seen = seen.assign(active_days=~seen.duplicated(["customer_id", "activity_date"]))
    parts = []
    for window, edge in zip(WINDOWS, edges, strict=True):
        recent = seen.iloc[seen["activity_date"].searchsorted(edge) :]
        sums = recent.groupby("customer_id", observed=True)[COUNTED].sum()
        parts.append(sums.rename(columns={name: column(name, window) for name in COUNTED}))
    return pd.concat(parts, axis=1)


def run(files: Files) -> None:
    """Pandas."""
    activity = read_activity(files)
    observations = pd.read_parquet(files.observations, columns=list(KEYS))
    observations["as_of_date"] = pd.to_datetime(observations["as_of_date"])
    by_arrival = activity.sort_values("known_date", kind="stable", ignore_index=True)
    known = by_arrival["known_date"]
    last = pd.Series(dtype="datetime64[us]")
    read = 0
    found = []
    for as_of, rows in observations.groupby("as_of_date"):
        # What became known since the date before may move the last day on.
        upto = known.searchsorted(as_of)
        newest = by_arrival.iloc[read:upto].groupby("customer_id", observed=True)["activity_date"]
        last = pd.concat([last, newest.max()]).groupby(level=0).max()
        read = upto
        features = at_date(activity, as_of)
        features.index = features.index.astype(object)
        wide = rows.join(features, on="customer_id")
        wide[LAST] = last.reindex(wide["customer_id"].to_numpy()).to_numpy()
        found.append(wide)
    result = pd.concat(found, ignore_index=True)
    numbers = [name for name in COLUMNS if name not in (*KEYS, LAST)]
    whole = [name for name in numbers if not name.startswith("minutes")]
    result[numbers] = result[numbers].fillna(0)
    result[whole] = result[whole].astype(np.int64)
    result[list(COLUMNS)].to_parquet(files.out, index=False)


if __name__ == "__main__":
    main(run)
