-- An action counts from the first day it was done, and a late row may tell of an earlier day. Kept are, for every customer
-- and action, the day we first knew of and every earlier day that we learned of afterwards.
with daily_activity as (

    select * from {{ ref('silver_daily_activity') }}

),

onboarding_steps as (

    select * from {{ ref('onboarding_steps') }}

),

followed as (

    select
        daily_activity.customer_id,
        case when {{ holdfast.is_login('daily_activity') }} then 'login' else daily_activity.action end as action,
        daily_activity.activity_date,
        daily_activity.known_date
    from daily_activity
    left join onboarding_steps
        on daily_activity.action = onboarding_steps.action
    where onboarding_steps.action is not null
        or {{ holdfast.is_login('daily_activity') }}

),

first_known as (

    select
        customer_id,
        action,
        min(known_date) as known_date
    from followed
    group by customer_id, action

),

first_days as (

    select
        followed.customer_id,
        followed.action,
        min(followed.activity_date) as activity_date
    from followed
    inner join first_known
        on followed.customer_id = first_known.customer_id
        and followed.action = first_known.action
        and followed.known_date = first_known.known_date
    group by followed.customer_id, followed.action

),

first_actions as (

    select
        followed.customer_id,
        followed.action,
        min(followed.activity_date) as activity_date,
        followed.known_date
    from followed
    inner join first_days
        on followed.customer_id = first_days.customer_id
        and followed.action = first_days.action
        and followed.activity_date <= first_days.activity_date
    group by followed.customer_id, followed.action, followed.known_date

)

select * from first_actions
