with support_tickets as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_support_tickets.csv') }},
        all_varchar = true,
        header = true
    )

)

select * from support_tickets
