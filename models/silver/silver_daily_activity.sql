{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column='known_date',
    slice_plan='known_dates:activity',
    on_schema_change='append_new_columns',
) }}

with slices as (

    select * from {{ holdfast.slices_to_build('known_dates:activity') }} as to_build

),

activity as (

    select * from {{ ref('bronze_activity') }}

),

daily_activity as (

    select
        activity.customer_id,
        cast(activity.occurred_at as date) as activity_date,
        slices.slice as known_date,
        cast(sum(activity.quantity) as bigint) as actions,
        cast(coalesce(sum(activity.quantity) filter (where {{ holdfast.is_login('activity') }}), 0) as bigint) as logins,
        cast(coalesce(sum(activity.quantity) filter (where activity.feature is not null), 0) as bigint) as feature_uses,
        cast(coalesce(sum(activity.minutes), 0) as decimal(18, 2)) as minutes,
        slices.built_from
    from activity
    inner join slices
        on cast(activity.known_at as date) = slices.slice
    group by
        activity.customer_id,
        cast(activity.occurred_at as date),
        slices.slice,
        slices.built_from

)

select * from daily_activity
