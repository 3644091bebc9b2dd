{%- set reach_days = 730 %}
{%- set edges = (var('windows') + [7, 14, 21, 28, 30, 60, reach_days]) | unique | sort %}
{%- set in_obs = holdfast.in_window('daily_activity.activity_date', 'observations.as_of_date', 'observations.observation_days') %}

{% set missing = holdfast.missing_slices() -%}
with observations as (

    select
        *,
        -- a number is a much cheaper key to aggregate by than a text and a date
        row_number() over (order by as_of_date asc nulls last, customer_id asc nulls last) as observation_number
    from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

reachable as (

    select * from {{ ref('silver_daily_activity') }}
    where {{ holdfast.within_reach('activity_date', missing, reach_days) }}

),

known_late as (

    select
        customer_id,
        activity_date
    from reachable
    where known_date > activity_date

),

days_known_twice as (

    -- nothing is known before it happens, so of two rows at least one was known late: there are few of these, and of all many
    select
        reachable.customer_id,
        reachable.activity_date,
        min(reachable.known_date) as first_known_date
    from reachable
    where (reachable.customer_id, reachable.activity_date) in (
        select
            customer_id,
            activity_date
        from known_late
    )
    group by reachable.customer_id, reachable.activity_date
    having count(*) > 1

),

daily_activity as (

    select
        reachable.customer_id,
        reachable.activity_date,
        reachable.known_date,
        reachable.actions,
        reachable.logins,
        reachable.feature_uses,
        reachable.minutes,
        -- a day of which we learned twice is one active day, from when we first knew of it
        days_known_twice.first_known_date is null or days_known_twice.first_known_date = reachable.known_date as is_first_known
    from reachable
    left join days_known_twice
        on reachable.customer_id = days_known_twice.customer_id
        and reachable.activity_date = days_known_twice.activity_date

),

sums as (

    select
        observations.observation_number,
        case
            {%- for edge in edges if edge != reach_days %}
            when daily_activity.activity_date >= {{ holdfast.add_days('observations.as_of_date', -edge) }} then {{ edge }}
            {%- endfor %}
            else {{ reach_days }}
        end as age_band,
        count(*) filter (where daily_activity.is_first_known) as active_days,
        sum(daily_activity.actions) as actions,
        sum(daily_activity.logins) as logins,
        sum(daily_activity.minutes) as minutes,
        count(*) filter (where daily_activity.is_first_known and {{ in_obs }}) as active_days_obs,
        sum(daily_activity.actions) filter (where {{ in_obs }}) as actions_obs,
        sum(daily_activity.logins) filter (where {{ in_obs }}) as logins_obs,
        sum(daily_activity.minutes) filter (where {{ in_obs }}) as minutes_obs,
        max(daily_activity.activity_date) as last_activity_date,
        max(daily_activity.activity_date) filter (where daily_activity.logins > 0) as last_login_date,
        max(daily_activity.activity_date) filter (where daily_activity.feature_uses > 0) as last_feature_use_date
    from observations
    inner join daily_activity
        on observations.customer_id = daily_activity.customer_id
        and {{ holdfast.is_visible('daily_activity.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_activity.activity_date', 'observations.as_of_date', reach_days) }}
    group by observations.observation_number, age_band

),

activity_bands as (

    select
        observations.customer_id,
        observations.as_of_date,
        sums.age_band,
        cast(sums.active_days as integer) as active_days,
        cast(sums.actions as bigint) as actions,
        cast(sums.logins as bigint) as logins,
        cast(sums.minutes as decimal(18, 2)) as minutes,
        cast(sums.active_days_obs as integer) as active_days_obs,
        cast(coalesce(sums.actions_obs, 0) as bigint) as actions_obs,
        cast(coalesce(sums.logins_obs, 0) as bigint) as logins_obs,
        cast(coalesce(sums.minutes_obs, 0) as decimal(18, 2)) as minutes_obs,
        sums.last_activity_date,
        sums.last_login_date,
        sums.last_feature_use_date,
        observations.built_from
    from sums
    inner join observations
        on sums.observation_number = observations.observation_number

)

select * from activity_bands
