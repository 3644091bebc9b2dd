{%- set missing = holdfast.missing_slices() %}

with observations as (

    select * from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

activity_windows as (

    select * from {{ ref('gold_activity_windows') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

feature_use as (

    select * from {{ ref('gold_feature_use') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

weeks as (

    select
        customer_id,
        as_of_date,
        logins_7d as logins_week_4,
        logins_14d - logins_7d as logins_week_3,
        logins_21d - logins_14d as logins_week_2,
        logins_28d - logins_21d as logins_week_1,
        actions_7d as actions_this_week,
        actions_14d - actions_7d as actions_last_week,
        actions_30d,
        actions_60d - actions_30d as actions_prior_30d
    from activity_windows

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.ratio('weeks.logins_week_4', 'weeks.logins_week_3') }} as logins_wow_ratio,
        {{ holdfast.ratio('weeks.actions_this_week', 'weeks.actions_last_week') }} as actions_wow_ratio,
        {{ holdfast.ratio('feature_use.features_used_7d', 'feature_use.features_used_prior_7d') }} as features_wow_ratio,
        -- least-squares slope over the weeks 1 to 4: sum((week - 2.5) * logins) / 5
        {{ holdfast.ratio(
            'coalesce(3 * weeks.logins_week_4 + weeks.logins_week_3 - weeks.logins_week_2 - 3 * weeks.logins_week_1, 0)', '10'
        ) }} as logins_trend_28d,
        {{ holdfast.ratio('weeks.actions_30d', 'weeks.actions_prior_30d') }} as actions_30d_vs_prior_ratio,
        observations.built_from
    from observations
    left join weeks
        on observations.customer_id = weeks.customer_id
        and observations.as_of_date = weeks.as_of_date
    left join feature_use
        on observations.customer_id = feature_use.customer_id
        and observations.as_of_date = feature_use.as_of_date

)

select * from features
