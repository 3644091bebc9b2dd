with customer_risk as (

    select * from {{ ref('marts_customer_risk') }}
    where is_current
        and priority <= {{ var('worklist_capacity') }}

),

prediction_reasons as (

    select
        customer_id,
        as_of_date,
        model_name,
        model_version,
        reason_rank,
        feature,
        -- a decimal of six places reads better without the zeros at its end
        case
            when feature_value like '%.______'
                then trim(trailing '.' from trim(trailing '0' from feature_value))
            else feature_value
        end as feature_value
    from {{ source('ml', 'prediction_reasons') }}
    where contribution > 0

),

-- what an absent value says of a customer, from the contracts of the features
null_meanings as (
    {% for feature, null_means in holdfast.null_meanings() %}
    select
        '{{ feature }}' as feature,
        '{{ null_means | replace("'", "''") }}' as null_means
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as feature,
        cast(null as {{ dbt.type_string() }}) as null_means

),

reasons as (

    select
        prediction_reasons.customer_id,
        prediction_reasons.as_of_date,
        prediction_reasons.model_name,
        prediction_reasons.model_version,
        prediction_reasons.feature
        || coalesce(
            ' = ' || prediction_reasons.feature_value,
            ': ' || null_meanings.null_means,
            ' is unknown'
        ) as reason,
        row_number() over (
            partition by
                prediction_reasons.customer_id,
                prediction_reasons.as_of_date,
                prediction_reasons.model_name,
                prediction_reasons.model_version
            order by
                prediction_reasons.reason_rank asc nulls last,
                prediction_reasons.feature asc nulls last
        ) as place
    from prediction_reasons
    left join null_meanings
        on prediction_reasons.feature = null_meanings.feature

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
