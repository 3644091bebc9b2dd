{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column='known_date',
    slice_plan='known_dates:orders',
    on_schema_change='append_new_columns',
) }}

with slices as (

    select * from {{ holdfast.slices_to_build('known_dates:orders') }} as to_build

),

orders as (

    select * from {{ ref('bronze_orders') }}

),

daily_orders as (

    select
        orders.customer_id,
        cast(orders.ordered_at as date) as order_date,
        slices.slice as known_date,
        count(*) filter (where orders.is_return is not true) as orders,
        count(*) filter (where orders.is_return is true) as returns,
        cast(sum(orders.amount) as decimal(18, 2)) as order_amount,
        cast(coalesce(sum(orders.amount) filter (where orders.is_return is not true), 0) as decimal(18, 2)) as gross_amount,
        slices.built_from
    from orders
    inner join slices
        on cast(orders.known_at as date) = slices.slice
    group by
        orders.customer_id,
        cast(orders.ordered_at as date),
        slices.slice,
        slices.built_from

)

select * from daily_orders
