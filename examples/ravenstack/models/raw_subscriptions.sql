with subscriptions as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_subscriptions.csv') }},
        all_varchar = true,
        header = true
    )

)

select * from subscriptions
