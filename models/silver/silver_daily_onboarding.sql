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

onboarding_steps as (

    select * from {{ ref('onboarding_steps') }}

),

daily_onboarding as (

    select
        activity.customer_id,
        onboarding_steps.step,
        cast(activity.occurred_at as date) as activity_date,
        slices.slice as known_date,
        slices.built_from
    from activity
    inner join onboarding_steps
        on activity.action = onboarding_steps.action
    inner join slices
        on cast(activity.known_at as date) = slices.slice
    group by
        activity.customer_id,
        onboarding_steps.step,
        cast(activity.occurred_at as date),
        slices.slice,
        slices.built_from

)

select * from daily_onboarding
