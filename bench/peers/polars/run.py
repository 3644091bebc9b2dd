"""polars, lazy on the streaming engine: `join_asof` on prefix sums, late rows by an ordinary join.

Also written, and slower on this work: a filter and one group by for each as-of date.
"""

import polars as pl

from bench.work import COLUMNS, KEYS, LAST, MEASURES, WINDOWS, Files, column, main

COUNTED = (*MEASURES, "active_days")
DAY, KNOWN, AS_OF = pl.col("activity_date"), pl.col("known_date"), pl.col("as_of_date")


def with_active_days(activity: pl.LazyFrame) -> pl.LazyFrame:
    """Mark the rows that count as an active day: of a day known in parts, the first part."""
    day = ["customer_id", "activity_date"]
    again = (
        activity.filter(KNOWN > DAY)
        .join(activity.select(*day, known_before="known_date"), on=day)
        .filter(pl.col("known_before") < KNOWN)
        .select(*day, "known_date", is_again=True)
        .unique()
    )
    return activity.join(again, on=[*day, "known_date"], how="left").with_columns(
        active_days=pl.col("is_again").is_null().cast(pl.Int64)
    )


def query(activity: pl.LazyFrame, observations: pl.LazyFrame) -> pl.LazyFrame:
    """Return the features of all observations."""
    days = with_active_days(activity)
    prefix = (
        days.filter(KNOWN <= DAY)
        .sort("activity_date", "customer_id")
        .with_columns(pl.col(name).cum_sum().over("customer_id") for name in COUNTED)
        .select("customer_id", "activity_date", *COUNTED)
    )
    found = observations.sort("as_of_date").join_asof(
        prefix.rename({name: f"{name}_upto" for name in COUNTED}).with_columns(on_time=DAY),
        left_on="as_of_date",
        right_on="activity_date",
        by="customer_id",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    for days_back in WINDOWS:
        before = {name: f"{name}_before_{days_back}" for name in COUNTED}
        found = found.with_columns(edge=AS_OF.dt.offset_by(f"-{days_back}d")).join_asof(
            prefix.rename(before),
            left_on="edge",
            right_on="activity_date",
            by="customer_id",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        found = found.drop("edge", "activity_date", strict=False)
    late_sums = (
        observations.join(days.filter(KNOWN > DAY), on="customer_id")
        .filter(KNOWN < AS_OF)
        .group_by("customer_id", "as_of_date")
        .agg(
            *(
                pl.col(name)
                .filter(AS_OF.dt.offset_by(f"-{days_back}d") <= DAY)
                .sum()
                .alias(f"{name}_late_{days_back}")
                for name in COUNTED
                for days_back in WINDOWS
            ),
            late=DAY.max(),
        )
    )
    features = [
        (
            pl.col(f"{name}_upto").fill_null(0)
            - pl.col(f"{name}_before_{days_back}").fill_null(0)
            + pl.col(f"{name}_late_{days_back}").fill_null(0)
        ).alias(column(name, days_back))
        for name in COUNTED
        for days_back in WINDOWS
    ]
    return (
        found.join(late_sums, on=KEYS, how="left")
        .with_columns(*features, pl.max_horizontal("on_time", "late").alias(LAST))
        .select(*COLUMNS)
    )


def run(files: Files) -> None:
    """Polars."""
    activity = pl.scan_parquet(files.activity)
    observations = pl.scan_parquet(files.observations).select(*KEYS)
    query(activity, observations).sink_parquet(files.out, engine="streaming")


if __name__ == "__main__":
    main(run)
