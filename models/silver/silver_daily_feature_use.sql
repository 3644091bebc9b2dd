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

daily_feature_use as (

    select
        activity.customer_id,
        cast(activity.occurred_at as date) as activity_date,
        slices.slice as known_date,
        activity.feature,
        cast(sum(activity.quantity) as bigint) as uses,
        slices.built_from
    from activity
    inner join slices
        on cast(activity.known_at as date) = slices.slice
    where activity.feature is not null
    group by
        activity.customer_id,
        cast(activity.occurred_at as date),
        slices.slice,
        activity.feature,
        slices.built_from

)

select * from daily_feature_use
