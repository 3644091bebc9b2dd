with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

daily_engagement as (

    select * from {{ ref('silver_daily_engagement') }}
    where {{ holdfast.within_reach('activity_date', 'observations', 60) }}

),

feature_days as (

    select * from {{ ref('silver_daily_activity') }}
    where feature is not null
        and {{ holdfast.within_reach('activity_date', 'observations', 14) }}

),

aged_days as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.days_between('daily_engagement.activity_date', 'observations.as_of_date') }} as age_days,
        daily_engagement.logins,
        daily_engagement.actions
    from observations
    inner join daily_engagement
        on observations.customer_id = daily_engagement.customer_id
        and {{ holdfast.is_visible('daily_engagement.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_engagement.activity_date', 'observations.as_of_date', 60) }}

),

sums as (

    select
        customer_id,
        as_of_date,
        coalesce(sum(logins) filter (where age_days <= 7), 0) as logins_week_4,
        coalesce(sum(logins) filter (where age_days between 8 and 14), 0) as logins_week_3,
        coalesce(sum(logins) filter (where age_days between 15 and 21), 0) as logins_week_2,
        coalesce(sum(logins) filter (where age_days between 22 and 28), 0) as logins_week_1,
        coalesce(sum(actions) filter (where age_days <= 7), 0) as actions_this_week,
        coalesce(sum(actions) filter (where age_days between 8 and 14), 0) as actions_last_week,
        coalesce(sum(actions) filter (where age_days <= 30), 0) as actions_30d,
        coalesce(sum(actions) filter (where age_days between 31 and 60), 0) as actions_prior_30d
    from aged_days
    group by customer_id, as_of_date

),

feature_weeks as (

    select
        observations.customer_id,
        observations.as_of_date,
        count(distinct feature_days.feature) filter (
            where {{ holdfast.in_window('feature_days.activity_date', 'observations.as_of_date', 7) }}
        ) as features_this_week,
        count(distinct feature_days.feature) filter (
            where feature_days.activity_date < {{ holdfast.add_days('observations.as_of_date', '-7') }}
        ) as features_last_week
    from observations
    inner join feature_days
        on observations.customer_id = feature_days.customer_id
        and {{ holdfast.is_visible('feature_days.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('feature_days.activity_date', 'observations.as_of_date', 14) }}
    group by observations.customer_id, observations.as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.ratio('sums.logins_week_4', 'sums.logins_week_3') }} as logins_wow_ratio,
        {{ holdfast.ratio('sums.actions_this_week', 'sums.actions_last_week') }} as actions_wow_ratio,
        {{ holdfast.ratio('feature_weeks.features_this_week', 'feature_weeks.features_last_week') }} as features_wow_ratio,
        -- least-squares slope over the weeks 1 to 4: sum((week - 2.5) * logins) / 5
        {{ holdfast.ratio(
            'coalesce(3 * sums.logins_week_4 + sums.logins_week_3 - sums.logins_week_2 - 3 * sums.logins_week_1, 0)', '10'
        ) }} as logins_trend_28d,
        {{ holdfast.ratio('sums.actions_30d', 'sums.actions_prior_30d') }} as actions_30d_vs_prior_ratio,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date
    left join feature_weeks
        on observations.customer_id = feature_weeks.customer_id
        and observations.as_of_date = feature_weeks.as_of_date

)

select * from features
