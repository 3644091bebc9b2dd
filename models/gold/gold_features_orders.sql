{%- set reach_days = [var('windows') | max, 365] | max %}

{% set missing = holdfast.missing_slices() -%}
with observations as (

    select * from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

daily_orders as (

    select * from {{ ref('silver_daily_orders') }}
    where {{ holdfast.within_reach('order_date', missing, reach_days) }}

),

visible_orders as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.observation_days,
        daily_orders.order_date,
        daily_orders.orders,
        daily_orders.returns,
        daily_orders.order_amount,
        daily_orders.gross_amount,
        {{ holdfast.in_window('daily_orders.order_date', 'observations.as_of_date', 365) }} as is_last_year
    from observations
    inner join daily_orders
        on observations.customer_id = daily_orders.customer_id
        and {{ holdfast.is_visible('daily_orders.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_orders.order_date', 'observations.as_of_date', reach_days) }}

),

sums as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        {%- set in_window = holdfast.in_window('observations.order_date', 'observations.as_of_date', window.days) %}
        sum(observations.orders) filter (where {{ in_window }}) as orders_{{ window.suffix }},
        sum(observations.order_amount) filter (where {{ in_window }}) as order_amount_{{ window.suffix }},
        {%- endfor %}
        sum(observations.orders) filter (where observations.is_last_year) as orders,
        sum(observations.returns) filter (where observations.is_last_year) as returns,
        sum(observations.gross_amount) filter (where observations.is_last_year) as gross_amount,
        count(distinct observations.order_date) filter (where observations.is_last_year and observations.orders > 0) as order_days,
        min(observations.order_date) filter (where observations.is_last_year and observations.orders > 0) as first_order_date,
        max(observations.order_date) filter (where observations.is_last_year and observations.orders > 0) as last_order_date
    from visible_orders as observations
    group by observations.customer_id, observations.as_of_date

),

gaps as (

    select
        *,
        {{ holdfast.days_between('first_order_date', 'last_order_date') }} as span_days,
        {{ holdfast.days_between('last_order_date', 'as_of_date') }} as days_since_last_order,
        order_days - 1 as order_gaps
    from sums

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        cast(coalesce(gaps.orders_{{ window.suffix }}, 0) as integer) as orders_{{ window.suffix }},
        cast(coalesce(gaps.order_amount_{{ window.suffix }}, 0) as decimal(18, 2)) as order_amount_{{ window.suffix }},
        {%- endfor %}
        {{ holdfast.ratio('gaps.gross_amount', 'gaps.orders') }} as avg_order_value_365d,
        {{ holdfast.ratio('gaps.returns', 'gaps.orders + gaps.returns') }} as return_ratio_365d,
        {{ holdfast.ratio('gaps.span_days', 'gaps.order_gaps') }} as order_gap_days_avg,
        {{ holdfast.ratio('gaps.days_since_last_order * gaps.order_gaps', 'gaps.span_days') }} as order_recency_ratio,
        observations.built_from
    from observations
    left join gaps
        on observations.customer_id = gaps.customer_id
        and observations.as_of_date = gaps.as_of_date

)

select * from features
