with customer_risk as (

    select
        *,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as as_of_month
    from {{ ref('marts_customer_risk') }}

),

newest_dates as (

    select
        as_of_month,
        max(as_of_date) as as_of_date
    from customer_risk
    group by as_of_month

),

revenue_at_risk as (

    select
        customer_risk.as_of_month,
        customer_risk.as_of_date,
        customer_risk.value_tier,
        customer_risk.cohort,
        customer_risk.segment,
        count(*) as customers,
        cast(sum(customer_risk.monthly_revenue) as decimal(18, 2)) as monthly_revenue,
        cast(sum(customer_risk.revenue_at_risk) as decimal(18, 2)) as revenue_at_risk,
        cast(sum(customer_risk.churn_probability) as decimal(18, 6)) as expected_churners,
        count(*) filter (where customer_risk.is_high_risk) as high_risk_customers,
        customer_risk.model_name,
        customer_risk.model_version
    from customer_risk
    inner join newest_dates
        on customer_risk.as_of_date = newest_dates.as_of_date
    group by
        customer_risk.as_of_month,
        customer_risk.as_of_date,
        customer_risk.value_tier,
        customer_risk.cohort,
        customer_risk.segment,
        customer_risk.model_name,
        customer_risk.model_version

)

select * from revenue_at_risk
