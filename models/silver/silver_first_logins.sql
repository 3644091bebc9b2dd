-- A late row may tell of an earlier login. Kept are, for every customer, the first login as we first knew it and every
-- earlier one that we learned of afterwards.
with daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

logins as (

    select
        customer_id,
        activity_date,
        known_date
    from daily_activity
    where logins > 0

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
        min(logins.activity_date) as login_date
    from logins
    inner join first_days
        on logins.customer_id = first_days.customer_id
        and logins.activity_date <= first_days.activity_date
    group by logins.customer_id, logins.known_date

)

select * from first_logins
