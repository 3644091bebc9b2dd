"""Spark SQL: one range join and filtered sums, on two local cores."""

from pyspark.sql import SparkSession

from bench.work import LAST, MEASURES, WINDOWS, Files, column, main


def query() -> str:
    """Return the SQL over the views `activity` and `observations`."""
    sums = ",\n".join(
        f"coalesce(sum({name}) filter (where activity_date >= date_sub(as_of_date, {days})), 0) "
        f"as {column(name, days)}"
        for name in (*MEASURES, "active_days")
        for days in WINDOWS
    )
    return f"""
        with days as (
            select
                *,
                -- a day that became known in parts is one active day, from when first known
                case when known_date = min(known_date) over (
                    partition by customer_id, activity_date
                ) then 1 else 0 end as active_days
            from activity
        )
        select
            observations.customer_id,
            observations.as_of_date,
            {sums},
            max(days.activity_date) as {LAST}
        from observations
        left join days
            on observations.customer_id = days.customer_id
            and days.known_date < observations.as_of_date
            and days.activity_date < observations.as_of_date
        group by observations.customer_id, observations.as_of_date
    """


def run(files: Files) -> None:
    """Spark SQL."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(files.scratch))
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    for name in ("activity", "observations"):
        spark.read.parquet(str(getattr(files, name))).createOrReplaceTempView(name)
    spark.sql(query()).write.parquet(str(files.out))
    gateway = spark.sparkContext._gateway
    spark.stop()
    # Wait for the JVM, so that its time and memory are counted with this process.
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


if __name__ == "__main__":
    main(run)
