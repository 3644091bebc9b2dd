with churn_events as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_churn_events.csv') }},
        all_varchar = true,
        header = true
    )

)

select * from churn_events
