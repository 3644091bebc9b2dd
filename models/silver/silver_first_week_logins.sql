with daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

customers_versions as (

    select * from {{ ref('silver_customers_versions') }}

),

sign_ups as (

    -- versions repeat the sign-up date; a correction adds another
    select distinct
        customer_id,
        cast(signed_up_at as date) as signed_up_date
    from customers_versions

),

first_week_logins as (

    select
        sign_ups.customer_id,
        sign_ups.signed_up_date,
        daily_activity.known_date,
        cast(sum(daily_activity.logins) as bigint) as logins
    from sign_ups
    inner join daily_activity
        on sign_ups.customer_id = daily_activity.customer_id
        and daily_activity.activity_date >= sign_ups.signed_up_date
        and daily_activity.activity_date < {{ holdfast.add_days('sign_ups.signed_up_date', 7) }}
    where daily_activity.logins > 0
    group by sign_ups.customer_id, sign_ups.signed_up_date, daily_activity.known_date

)

select * from first_week_logins
