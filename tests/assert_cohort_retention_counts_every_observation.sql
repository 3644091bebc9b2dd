-- Every observation at a date of marts.cohort_retention is counted in one cohort, but for customers
-- who by now are known to have signed up in that month or later. A returned row is a date on which
-- the counts or the money differ.

with mart as (

    select
        as_of_date,
        sum(active_customers) as active_customers,
        sum(monthly_revenue) as monthly_revenue
    from {{ ref('marts_cohort_retention') }}
    group by as_of_date

),

first_dates as (

    select min(as_of_date) as as_of_date
    from {{ ref('gold_as_of_dates') }}
    where is_grid
    group by {{ dbt.date_trunc('month', 'as_of_date') }}

),

source_rows as (

    select
        observations.as_of_date,
        count(*) as active_customers,
        sum(observations.monthly_revenue) as monthly_revenue
    from {{ ref('gold_observations') }} as observations
    inner join first_dates
        on observations.as_of_date = first_dates.as_of_date
    inner join {{ ref('silver_customers_versions') }} as customers
        on observations.customer_id = customers.customer_id
        and customers.known_to is null
    where customers.signed_up_at
        < cast({{ dbt.date_trunc('month', 'observations.as_of_date') }} as timestamp)
    group by observations.as_of_date

)

select
    coalesce(mart.as_of_date, source_rows.as_of_date) as as_of_date,
    mart.active_customers,
    source_rows.active_customers as source_active_customers,
    mart.monthly_revenue,
    source_rows.monthly_revenue as source_monthly_revenue
from mart
full outer join source_rows
    on mart.as_of_date = source_rows.as_of_date
where coalesce(mart.active_customers, 0) != coalesce(source_rows.active_customers, 0)
    or coalesce(mart.monthly_revenue, 0) != coalesce(source_rows.monthly_revenue, 0)
