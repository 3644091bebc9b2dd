with accounts as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_accounts.csv', "Kaggle, 'SaaS Subscription and Churn Analytics Dataset' (RavenStack) by River @ Rivalytics") }},
        all_varchar = true, header = true
    )

)

select * from accounts
