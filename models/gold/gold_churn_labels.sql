{{ config(slice_plan='label_dates') }}

with clock as (

    select * from {{ ref('silver_clock') }}

),

observations as (

    select
        customer_id,
        as_of_date,
        horizon_days,
        cast({{ holdfast.label_known_at('as_of_date', 'horizon_days') }} as timestamp) as label_known_at,
        built_from
    from {{ holdfast.observations_to_build('label_dates') }} as to_build

),

labelled as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.label_known_at,
        {{ holdfast.add_days('observations.as_of_date', 'observations.horizon_days') }} as horizon_end
    from observations
    cross join clock
    where observations.label_known_at <= clock.data_until

),
{% if var('churn_definition') == 'subscription' %}
subscriptions_versions as (

    select * from {{ ref('silver_subscriptions_versions') }}

),

periods as (

    select
        labelled.customer_id,
        labelled.as_of_date,
        labelled.horizon_end,
        subscriptions.subscription_id,
        subscriptions.started_at,
        coalesce({{ holdfast.subscription_stopped_at('subscriptions') }}, timestamp '9000-01-01 00:00:00') as stopped_at,
        subscriptions.cancelled_at is not null as is_cancelled
    from labelled
    inner join subscriptions_versions as subscriptions
        on labelled.customer_id = subscriptions.customer_id
        and {{ holdfast.is_version_at('subscriptions', 'labelled.label_known_at') }}
    where {{ holdfast.subscription_stopped_at('subscriptions') }} is null
        or subscriptions.started_at < {{ holdfast.subscription_stopped_at('subscriptions') }}

),

stays as (

    select
        *,
        max(stopped_at) over (
            partition by customer_id, as_of_date
            order by started_at asc nulls last, {{ holdfast.in_code_order('subscription_id') }} asc nulls last
            rows between unbounded preceding and 1 preceding
        ) as stopped_before_at
    from periods

),

numbered_stays as (

    select
        *,
        sum(
            case
                when stopped_before_at is null
                    or started_at >= {{ holdfast.add_days_to_time('stopped_before_at', var('grace_days')) }} then 1
                else 0
            end
        ) over (
            partition by customer_id, as_of_date
            order by started_at asc nulls last, {{ holdfast.in_code_order('subscription_id') }} asc nulls last
            rows between unbounded preceding and current row
        ) as stay
    from stays

),

stay_ends as (

    select
        customer_id,
        as_of_date,
        horizon_end,
        stay,
        min(started_at) as started_at,
        max(stopped_at) as churned_at,
        max(case when is_cancelled then stopped_at end) as last_cancelled_at
    from numbered_stays
    group by customer_id, as_of_date, horizon_end, stay

),

outcomes as (

    select
        customer_id,
        as_of_date,
        min(case when churned_at >= as_of_date and churned_at < horizon_end then churned_at end) as churned_at,
        -- in hindsight no stay covers the as-of date: the customer had left, and we did not know yet
        count(*) filter (where started_at < as_of_date and churned_at >= as_of_date) = 0 as has_left_before
    from stay_ends
    group by customer_id, as_of_date

),

churned as (

    select
        labelled.customer_id,
        labelled.as_of_date,
        outcomes.churned_at,
        case
            when outcomes.churned_at is null then null
            when stay_ends.last_cancelled_at = stay_ends.churned_at then 'voluntary'
            else 'involuntary'
        end as churn_type,
        coalesce(outcomes.has_left_before, true) as has_left_before
    from labelled
    left join outcomes
        on labelled.customer_id = outcomes.customer_id
        and labelled.as_of_date = outcomes.as_of_date
    left join stay_ends
        on outcomes.customer_id = stay_ends.customer_id
        and outcomes.as_of_date = stay_ends.as_of_date
        and outcomes.churned_at = stay_ends.churned_at

),
{% else %}
daily_orders as (

    select * from {{ ref('silver_daily_orders') }}

),

daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

days_alive as (

    select
        customer_id,
        order_date as event_date,
        known_date
    from daily_orders
    where orders > 0
    union all
    select
        customer_id,
        activity_date as event_date,
        known_date
    from daily_activity

),

returns as (

    select
        labelled.customer_id,
        labelled.as_of_date
    from labelled
    inner join days_alive
        on labelled.customer_id = days_alive.customer_id
        and {{ holdfast.is_visible('days_alive.known_date', 'labelled.label_known_at') }}
        and days_alive.event_date >= labelled.as_of_date
        and days_alive.event_date < labelled.horizon_end
    group by labelled.customer_id, labelled.as_of_date

),

churned as (

    select
        labelled.customer_id,
        labelled.as_of_date,
        -- silent from the as-of date on
        case when returns.customer_id is null then cast(labelled.as_of_date as timestamp) end as churned_at,
        case when returns.customer_id is null then 'voluntary' end as churn_type,
        false as has_left_before
    from labelled
    left join returns
        on labelled.customer_id = returns.customer_id
        and labelled.as_of_date = returns.as_of_date

),
{% endif %}
churn_labels as (

    select
        observations.customer_id,
        observations.as_of_date,
        case when churned.customer_id is not null then churned.churned_at is not null end as is_churn,
        churned.churned_at,
        {{ holdfast.days_between('observations.as_of_date', 'churned.churned_at') }} as days_to_churn,
        churned.churn_type,
        observations.label_known_at,
        churned.customer_id is not null as is_label_available,
        churned.has_left_before,
        observations.built_from
    from observations
    left join churned
        on observations.customer_id = churned.customer_id
        and observations.as_of_date = churned.as_of_date

)

select * from churn_labels
