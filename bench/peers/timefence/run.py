"""Timefence: running totals as SQL features, joined by its own as-of join.

Its documented idiom, a rolling window that ends at a customer's last event, is not the window that
ends at D. So each window is the difference of two totals: of what had become visible, and of what
had left the window again. A row leaves when it is both known and old enough, so a late row that is
too old when it arrives enters and leaves at once.
"""

import duckdb
import timefence

from bench.work import LAST, MEASURES, WINDOWS, Files, column, main

COUNTED = (*MEASURES, "active_days")


def feature(source: timefence.SQLSource, name: str, moment: str) -> timefence.Feature:
    """Return the running totals of a customer by `moment`, a date of each row."""
    daily = ", ".join(f"sum({measure}) as {measure}" for measure in COUNTED)
    totals = ", ".join(f"sum({measure}) over customer_days as {measure}" for measure in COUNTED)
    return timefence.Feature(
        source=source,
        name=name,
        on_duplicate="keep_any",
        sql=f"""
            select customer_id, feature_time, {totals}, max(last) over customer_days as last
            from (
                select customer_id, {moment} as feature_time, {daily}, max(activity_date) as last
                from {{source}}
                group by customer_id, {moment}
            )
            window customer_days as (partition by customer_id order by feature_time)
        """,
    )


def run(files: Files) -> None:
    """Timefence."""
    source = timefence.SQLSource(
        f"""
        select
            *,
            -- A day that became known in parts is one active day, from when it was first known.
            (known_date = min(known_date) over (partition by customer_id, activity_date))::integer
                as active_days
        from read_parquet('{files.activity}')
        """,
        keys=["customer_id"],
        timestamp="known_date",
        name="activity",
    )
    features = [feature(source, "visible", "greatest(known_date, activity_date)")]
    features += [
        feature(source, f"left_{days}", f"greatest(known_date, activity_date + {days})")
        for days in WINDOWS
    ]
    joined = files.scratch / "joined.parquet"
    timefence.build(
        labels=timefence.Labels(
            path=files.observations,
            keys=["customer_id"],
            label_time="as_of_date",
            target=["observation_days"],
        ),
        features=features,
        output=joined,
        max_lookback="3650d",
    )
    differences = ", ".join(
        f"coalesce(visible__{name}, 0) - coalesce(left_{days}__{name}, 0) as {column(name, days)}"
        for name in COUNTED
        for days in WINDOWS
    )
    duckdb.execute(
        f"copy (select customer_id, as_of_date, {differences}, visible__last as {LAST} "
        f"from read_parquet('{joined}')) to '{files.out}' (format parquet)"
    )


if __name__ == "__main__":
    main(run)
