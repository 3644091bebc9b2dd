with accounts as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_accounts.csv') }},
        all_varchar = true,
        header = true
    )

)

select * from accounts
