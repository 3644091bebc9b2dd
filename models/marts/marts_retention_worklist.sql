with customer_risk as (

    select * from {{ ref('marts_customer_risk') }}
    where is_current
        and priority <= {{ var('worklist_capacity') }}

),

prediction_reasons as (

    select * from {{ source('ml', 'prediction_reasons') }}
    where contribution > 0

),

reasons as (

    select
        customer_id,
        as_of_date,
        model_name,
        model_version,
        -- scored before reasons had words
        coalesce(prediction_reasons.reason, prediction_reasons.feature) as reason,
        row_number() over (
            partition by customer_id, as_of_date, model_name, model_version
            order by reason_rank asc nulls last, {{ holdfast.in_code_order('feature') }} asc nulls last
        ) as place
    from prediction_reasons

),

reasons_by_customer as (

    select
        customer_id,
        as_of_date,
        model_name,
        model_version,
        max(case when place = 1 then reason end) as reason_1,
        max(case when place = 2 then reason end) as reason_2,
        max(case when place = 3 then reason end) as reason_3
    from reasons
    group by customer_id, as_of_date, model_name, model_version

),

retention_worklist as (

    select
        customer_risk.priority,
        customer_risk.customer_id,
        customer_risk.as_of_date,
        customer_risk.churn_probability,
        customer_risk.horizon_days,
        customer_risk.monthly_revenue,
        customer_risk.revenue_at_risk,
        customer_risk.is_high_risk,
        customer_risk.value_tier,
        customer_risk.cohort,
        customer_risk.segment,
        customer_risk.country,
        customer_risk.plan,
        customer_risk.tenure_days,
        customer_risk.days_to_renewal,
        customer_risk.auto_renew,
        customer_risk.open_tickets,
        customer_risk.days_since_last_activity,
        reasons_by_customer.reason_1,
        reasons_by_customer.reason_2,
        reasons_by_customer.reason_3,
        customer_risk.model_name,
        customer_risk.model_version
    from customer_risk
    left join reasons_by_customer
        on customer_risk.customer_id = reasons_by_customer.customer_id
        and customer_risk.as_of_date = reasons_by_customer.as_of_date
        and customer_risk.model_name = reasons_by_customer.model_name
        and customer_risk.model_version = reasons_by_customer.model_version

)

select * from retention_worklist
