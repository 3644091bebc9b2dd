{%- set reach_days = 730 %}
{%- set missing = holdfast.missing_slices() %}

with observations as (

    select * from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

activity_windows as (

    select * from {{ ref('gold_activity_windows') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

tickets_versions as (

    select * from {{ ref('silver_tickets_versions') }}

),

daily_orders as (

    select * from {{ ref('silver_daily_orders') }}

),

invoices_versions as (

    select * from {{ ref('silver_invoices_versions') }}

),

touches_versions as (

    select * from {{ ref('silver_touches_versions') }}

),

last_tickets as (

    select
        observations.customer_id,
        observations.as_of_date,
        max(tickets.opened_at) as opened_at
    from observations
    inner join tickets_versions as tickets
        on observations.customer_id = tickets.customer_id
        and {{ holdfast.is_version_at('tickets', 'observations.as_of_date') }}
        and {{ holdfast.in_window('tickets.opened_at', 'observations.as_of_date', reach_days) }}
    group by observations.customer_id, observations.as_of_date

),

last_orders as (

    select
        observations.customer_id,
        observations.as_of_date,
        max(daily_orders.order_date) as order_date
    from observations
    inner join daily_orders
        on observations.customer_id = daily_orders.customer_id
        and {{ holdfast.is_visible('daily_orders.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_orders.order_date', 'observations.as_of_date', reach_days) }}
    where daily_orders.orders > 0
    group by observations.customer_id, observations.as_of_date

),

last_payments as (

    select
        observations.customer_id,
        observations.as_of_date,
        max(invoices.paid_at) as paid_at
    from observations
    inner join invoices_versions as invoices
        on observations.customer_id = invoices.customer_id
        and {{ holdfast.is_version_at('invoices', 'observations.as_of_date') }}
        and {{ holdfast.in_window('invoices.paid_at', 'observations.as_of_date', reach_days) }}
    group by observations.customer_id, observations.as_of_date

),

last_touches as (

    select
        observations.customer_id,
        observations.as_of_date,
        max(touches.sent_at) as sent_at
    from observations
    inner join touches_versions as touches
        on observations.customer_id = touches.customer_id
        and {{ holdfast.is_version_at('touches', 'observations.as_of_date') }}
        and {{ holdfast.in_window('touches.sent_at', 'observations.as_of_date', reach_days) }}
    where touches.is_holdout is not true
    group by observations.customer_id, observations.as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.days_between('activity_windows.last_activity_date', 'observations.as_of_date') }} as days_since_last_activity,
        {{ holdfast.days_between('activity_windows.last_login_date', 'observations.as_of_date') }} as days_since_last_login,
        {{ holdfast.days_between('activity_windows.last_feature_use_date', 'observations.as_of_date') }} as days_since_last_feature_use,
        {{ holdfast.days_between('last_tickets.opened_at', 'observations.as_of_date') }} as days_since_last_ticket,
        {{ holdfast.days_between('last_orders.order_date', 'observations.as_of_date') }} as days_since_last_order,
        {{ holdfast.days_between('last_payments.paid_at', 'observations.as_of_date') }} as days_since_last_payment,
        {{ holdfast.days_between('last_touches.sent_at', 'observations.as_of_date') }} as days_since_last_touch,
        observations.built_from
    from observations
    {%- for last in ['activity_windows', 'last_tickets', 'last_orders', 'last_payments', 'last_touches'] %}
    left join {{ last }}
        on observations.customer_id = {{ last }}.customer_id
        and observations.as_of_date = {{ last }}.as_of_date
    {%- endfor %}

)

select * from features
