{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column="'activity'",
    slice_plan='whole:activity',
    on_schema_change='append_new_columns',
) }}

-- A late row may tell of an earlier login. Kept are, for every customer, the first login as we first knew it and every
-- earlier one that we learned of afterwards.
with slices as (

    select * from {{ holdfast.slices_to_build('whole:activity') }} as to_build

),

daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

logins as (

    select
        daily_activity.customer_id,
        daily_activity.activity_date,
        daily_activity.known_date,
        slices.built_from
    from daily_activity
    cross join slices
    where daily_activity.logins > 0

),

first_known as (

    select
        customer_id,
        min(known_date) as known_date
    from logins
    group by customer_id

),

first_days as (

    select
        logins.customer_id,
        min(logins.activity_date) as activity_date
    from logins
    inner join first_known
        on logins.customer_id = first_known.customer_id
        and logins.known_date = first_known.known_date
    group by logins.customer_id

),

first_logins as (

    select
        logins.customer_id,
        logins.known_date,
        min(logins.activity_date) as login_date,
        logins.built_from
    from logins
    inner join first_days
        on logins.customer_id = first_days.customer_id
        and logins.activity_date <= first_days.activity_date
    group by logins.customer_id, logins.known_date, logins.built_from

)

select * from first_logins
