with customers as (

    -- deleted customers stay counted: those who left are deleted more often than others
    select
        customer_id,
        cast({{ dbt.date_trunc('month', 'signed_up_at') }} as date) as sign_up_month
    from {{ ref('silver_customers_versions') }}
    where known_to is null

),

observations as (

    select * from {{ ref('gold_observations') }}

),

-- one date speaks for a month: the first on the grid
dates as (

    select
        min(as_of_date) as as_of_date,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as as_of_month
    from {{ ref('gold_as_of_dates') }}
    where is_grid
    group by cast({{ dbt.date_trunc('month', 'as_of_date') }} as date)

),

cohorts as (

    select
        sign_up_month,
        count(*) as customers_signed_up
    from customers
    group by sign_up_month

),

-- every later date of every cohort, so that one that is all gone has a row that says so
cohort_dates as (

    select
        cohorts.sign_up_month,
        cohorts.customers_signed_up,
        dates.as_of_date,
        cast(
            (extract(year from dates.as_of_month) - extract(year from cohorts.sign_up_month)) * 12
            + extract(month from dates.as_of_month) - extract(month from cohorts.sign_up_month)
            as integer
        ) as months_since_sign_up
    from cohorts
    inner join dates
        on cohorts.sign_up_month < dates.as_of_month

),

active as (

    select
        customers.customer_id,
        cohort_dates.sign_up_month,
        cohort_dates.as_of_date,
        cohort_dates.months_since_sign_up,
        observations.monthly_revenue
    from cohort_dates
    inner join customers
        on cohort_dates.sign_up_month = customers.sign_up_month
    inner join observations
        on customers.customer_id = observations.customer_id
        and cohort_dates.as_of_date = observations.as_of_date

),

starters as (

    select
        customer_id,
        sign_up_month,
        monthly_revenue as starting_monthly_revenue
    from active
    where months_since_sign_up = 1

),

starting_revenue as (

    select
        sign_up_month,
        cast(sum(starting_monthly_revenue) as decimal(18, 2)) as starting_monthly_revenue
    from starters
    group by sign_up_month

),

totals as (

    select
        active.sign_up_month,
        active.as_of_date,
        count(*) as active_customers,
        sum(active.monthly_revenue) as monthly_revenue,
        sum(
            case when starters.customer_id is not null then active.monthly_revenue else 0 end
        ) as retained_monthly_revenue
    from active
    left join starters
        on active.customer_id = starters.customer_id
    group by active.sign_up_month, active.as_of_date

),

cohort_retention as (

    select
        cohort_dates.sign_up_month,
        cohort_dates.months_since_sign_up,
        cohort_dates.as_of_date,
        cohort_dates.customers_signed_up,
        coalesce(totals.active_customers, 0) as active_customers,
        {{ holdfast.ratio(
            'coalesce(totals.active_customers, 0)', 'cohort_dates.customers_signed_up'
        ) }} as retention_ratio,
        cast(coalesce(totals.monthly_revenue, 0) as decimal(18, 2)) as monthly_revenue,
        starting_revenue.starting_monthly_revenue,
        cast(
            case
                when starting_revenue.starting_monthly_revenue is not null
                    then coalesce(totals.retained_monthly_revenue, 0)
            end as decimal(18, 2)
        ) as retained_monthly_revenue,
        cast(
            case
                when starting_revenue.starting_monthly_revenue > 0
                    then {{ holdfast.ratio(
                        'coalesce(totals.retained_monthly_revenue, 0)',
                        'starting_revenue.starting_monthly_revenue'
                    ) }}
            end as decimal(18, 6)
        ) as net_revenue_retention_ratio
    from cohort_dates
    left join totals
        on cohort_dates.sign_up_month = totals.sign_up_month
        and cohort_dates.as_of_date = totals.as_of_date
    left join starting_revenue
        on cohort_dates.sign_up_month = starting_revenue.sign_up_month

)

select * from cohort_retention
