-- The money in marts.revenue_at_risk is the money of the customers behind it. A returned row is a
-- date on which customers, monthly revenue or expected churners differ from gold and the
-- predictions, or money at risk by more than the rounding of half a hundredth a customer.

with mart as (

    select
        as_of_date,
        model_name,
        model_version,
        sum(customers) as customers,
        sum(monthly_revenue) as monthly_revenue,
        sum(revenue_at_risk) as revenue_at_risk,
        sum(expected_churners) as expected_churners
    from {{ ref('marts_revenue_at_risk') }}
    group by as_of_date, model_name, model_version

),

source_rows as (

    select
        predictions.as_of_date,
        predictions.model_name,
        predictions.model_version,
        count(*) as customers,
        sum(observations.monthly_revenue) as monthly_revenue,
        sum(
            cast(predictions.churn_probability as decimal(18, 6))
            * cast(greatest(observations.monthly_revenue, 0) as decimal(19, 2))
        ) as monthly_revenue_at_risk,
        sum(cast(predictions.churn_probability as decimal(18, 6))) as expected_churners
    from {{ source('ml', 'predictions') }} as predictions
    inner join {{ ref('gold_observations') }} as observations
        on predictions.customer_id = observations.customer_id
        and predictions.as_of_date = observations.as_of_date
    group by predictions.as_of_date, predictions.model_name, predictions.model_version

)

select
    mart.as_of_date,
    mart.customers,
    source_rows.customers as source_customers,
    mart.monthly_revenue,
    source_rows.monthly_revenue as source_monthly_revenue,
    mart.revenue_at_risk,
    12 * source_rows.monthly_revenue_at_risk as source_revenue_at_risk
from mart
left join source_rows
    on {{ holdfast.equal_columns(
        'mart', 'source_rows', ['as_of_date', 'model_name', 'model_version']
    ) }}
where mart.customers is distinct from source_rows.customers
    or mart.monthly_revenue is distinct from source_rows.monthly_revenue
    or mart.expected_churners is distinct from source_rows.expected_churners
    or abs(mart.revenue_at_risk - 12 * source_rows.monthly_revenue_at_risk) > 0.005 * mart.customers
