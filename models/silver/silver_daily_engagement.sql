{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column='known_date',
    slice_plan='known_dates:activity',
    on_schema_change='append_new_columns',
) }}

with slices as (

    select * from {{ holdfast.slices_to_build('known_dates:activity') }}

),

daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

daily_engagement as (

    select
        daily_activity.customer_id,
        daily_activity.activity_date,
        slices.slice as known_date,
        cast(sum(daily_activity.actions) as bigint) as actions,
        cast(coalesce(sum(daily_activity.actions) filter (where {{ holdfast.is_login('daily_activity') }}), 0) as bigint) as logins,
        cast(coalesce(sum(daily_activity.actions) filter (where daily_activity.feature is not null), 0) as bigint) as feature_uses,
        cast(sum(daily_activity.minutes) as decimal(18, 2)) as minutes,
        slices.built_from
    from daily_activity
    inner join slices
        on daily_activity.known_date = slices.slice
    group by
        daily_activity.customer_id,
        daily_activity.activity_date,
        slices.slice,
        slices.built_from

)

select * from daily_engagement
