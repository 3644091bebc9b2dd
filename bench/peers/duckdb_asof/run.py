"""Plain DuckDB: ASOF joins over prefix sums, late rows by an ordinary join."""

import duckdb

from bench.work import LAST, MEASURES, WINDOWS, Files, column, main

COUNTED = (*MEASURES, "active_days")


def statements(files: Files) -> list[str]:
    """Return the SQL in order."""
    total = ", ".join(f"sum({name}) over customer_days as {name}" for name in COUNTED)
    late = ", ".join(
        f"sum({name}) filter (where activity_date >= as_of_date - {days}) as {column(name, days)}"
        for name in COUNTED
        for days in WINDOWS
    )
    joins = "\n".join(
        f"asof left join prefix as before_{days}\n"
        f"    on seen.customer_id = before_{days}.customer_id\n"
        f"    and seen.as_of_date - {days} > before_{days}.activity_date"
        for days in WINDOWS
    )
    features = ",\n".join(
        f"coalesce(upto.{name}, 0) - coalesce(before_{days}.{name}, 0)"
        f" + coalesce(late_sums.{column(name, days)}, 0) as {column(name, days)}"
        for name in COUNTED
        for days in WINDOWS
    )
    return [
        f"create table activity as select * from read_parquet('{files.activity}')",
        f"create table seen as select * from read_parquet('{files.observations}')",
        # On time: known on its day. Such a row is visible at D if its day is before D.
        f"""create table prefix as
        select customer_id, activity_date, {total}
        from (select *, 1 as active_days from activity where known_date <= activity_date)
        window customer_days as (partition by customer_id order by activity_date)""",
        # A day that became known in parts is one active day, from when it was first known.
        """create table late as
        select
            late.*,
            (
                known_date = min(known_date) over (partition by customer_id, activity_date)
                and not exists (
                    select 1 from activity as on_time
                    where on_time.customer_id = late.customer_id
                        and on_time.activity_date = late.activity_date
                        and on_time.known_date <= on_time.activity_date
                )
            )::integer as active_days
        from activity as late
        where known_date > activity_date""",
        f"""create table late_sums as
        select seen.customer_id, seen.as_of_date, max(activity_date) as {LAST}, {late}
        from seen
        inner join late
            on seen.customer_id = late.customer_id
            and late.known_date < seen.as_of_date
        group by seen.customer_id, seen.as_of_date""",
        f"""copy (
        select
            seen.customer_id,
            seen.as_of_date,
            {features},
            greatest(upto.activity_date, late_sums.{LAST}) as {LAST}
        from seen
        asof left join prefix as upto
            on seen.customer_id = upto.customer_id
            and seen.as_of_date > upto.activity_date
        {joins}
        left join late_sums
            on seen.customer_id = late_sums.customer_id
            and seen.as_of_date = late_sums.as_of_date
        ) to '{files.out}' (format parquet)""",
    ]


def run(files: Files) -> None:
    """Plain DuckDB with ASOF joins."""
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        for statement in statements(files):
            connection.execute(statement)


if __name__ == "__main__":
    main(run)
