with dates as (

    select
        slice as as_of_date,
        built_from
    from {{ holdfast.slices_to_build() }} as to_build

),

customers_versions as (

    select * from {{ ref('silver_customers_versions') }}

),

cohorts as (

    select * from {{ ref('cohorts') }}

),

value_tiers as (

    select * from {{ ref('value_tiers') }}

),
{% if var('churn_definition') == 'subscription' %}
subscriptions_versions as (

    select * from {{ ref('silver_subscriptions_versions') }}

),

active as (

    select
        subscriptions.customer_id,
        dates.as_of_date,
        cast(coalesce(sum(subscriptions.mrr), 0) as decimal(18, 2)) as monthly_revenue
    from dates
    inner join subscriptions_versions as subscriptions
        on {{ holdfast.is_version_at('subscriptions', 'dates.as_of_date') }}
        and {{ holdfast.is_active_subscription('subscriptions', 'dates.as_of_date') }}
    group by subscriptions.customer_id, dates.as_of_date

),
{% elif var('churn_definition') == 'inactivity' %}
daily_orders as (

    select * from {{ ref('silver_daily_orders') }}

),

daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

visible_days as (

    select
        dates.as_of_date,
        daily_orders.customer_id,
        daily_orders.order_date as event_date,
        daily_orders.order_amount,
        daily_orders.orders > 0 as is_sign_of_life
    from dates
    inner join daily_orders
        on {{ holdfast.is_visible('daily_orders.known_date', 'dates.as_of_date') }}
        and {{ holdfast.in_window('daily_orders.order_date', 'dates.as_of_date', [var('inactivity_days'), 90] | max) }}
    union all
    select
        dates.as_of_date,
        daily_activity.customer_id,
        daily_activity.activity_date as event_date,
        0 as order_amount,
        true as is_sign_of_life
    from dates
    inner join daily_activity
        on {{ holdfast.is_visible('daily_activity.known_date', 'dates.as_of_date') }}
        and {{ holdfast.in_window('daily_activity.activity_date', 'dates.as_of_date', var('inactivity_days')) }}

),

active as (

    select
        customer_id,
        as_of_date,
        cast({{ holdfast.ratio(
            "greatest(coalesce(sum(order_amount) filter (where " ~ holdfast.in_window('event_date', 'as_of_date', 90) ~ "), 0), 0)", '3'
        ) }} as decimal(18, 2)) as monthly_revenue
    from visible_days
    group by customer_id, as_of_date
    having count(*) filter (
        where is_sign_of_life and {{ holdfast.in_window('event_date', 'as_of_date', var('inactivity_days')) }}
    ) > 0

),
{% else %}
{{ exceptions.raise_compiler_error(
    "The var churn_definition is subscription or inactivity; got '" ~ var('churn_definition') ~ "'."
) }}
{% endif %}
known_customers as (

    select
        active.customer_id,
        active.as_of_date,
        active.monthly_revenue,
        {{ holdfast.days_between('customers.signed_up_at', 'active.as_of_date') }} as tenure_days
    from active
    inner join customers_versions as customers
        on active.customer_id = customers.customer_id
        and {{ holdfast.is_version_at('customers', 'active.as_of_date') }}
    where customers.is_deleted is not true

),

observations as (

    select
        known_customers.customer_id,
        known_customers.as_of_date,
        known_customers.tenure_days,
        cohorts.cohort,
        cohorts.observation_days,
        cohorts.horizon_days,
        value_tiers.value_tier,
        known_customers.monthly_revenue,
        value_tiers.sample_weight,
        dates.built_from
    from known_customers
    inner join dates
        on known_customers.as_of_date = dates.as_of_date
    left join cohorts
        on known_customers.tenure_days >= cohorts.min_tenure_days
        and (cohorts.max_tenure_days is null or known_customers.tenure_days <= cohorts.max_tenure_days)
    left join value_tiers
        on (value_tiers.min_monthly_revenue is null or known_customers.monthly_revenue >= value_tiers.min_monthly_revenue)
        and (value_tiers.below_monthly_revenue is null or known_customers.monthly_revenue < value_tiers.below_monthly_revenue)

)

select * from observations
