{% set missing = holdfast.missing_slices() -%}
with observations as (

    select
        *,
        -- a number is a much cheaper key to aggregate by than a text and a date
        row_number() over (order by as_of_date asc nulls last, customer_id asc nulls last) as observation_number
    from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

daily_feature_use as (

    select * from {{ ref('silver_daily_feature_use') }}
    where {{ holdfast.within_reach('activity_date', missing, 90) }}

),

last_uses as (

    select
        observations.observation_number,
        observations.as_of_date,
        daily_feature_use.feature,
        max(daily_feature_use.activity_date) as last_date,
        max(daily_feature_use.activity_date) filter (
            where daily_feature_use.activity_date < {{ holdfast.add_days('observations.as_of_date', -7) }}
        ) as last_date_before_7d
    from observations
    inner join daily_feature_use
        on observations.customer_id = daily_feature_use.customer_id
        and {{ holdfast.is_visible('daily_feature_use.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_feature_use.activity_date', 'observations.as_of_date', 90) }}
    group by observations.observation_number, observations.as_of_date, daily_feature_use.feature

),

counts as (

    select
        observation_number,
        count(*) filter (where {{ holdfast.in_window('last_date', 'as_of_date', 7) }}) as features_used_7d,
        count(*) filter (where {{ holdfast.in_window('last_date_before_7d', 'as_of_date', 14) }}) as features_used_prior_7d,
        count(*) filter (where {{ holdfast.in_window('last_date', 'as_of_date', 30) }}) as features_used_30d,
        count(*) as features_used_90d
    from last_uses
    group by observation_number

),

dates as (

    -- many observations share an as-of date
    select distinct as_of_date from observations

),

seen_features as (

    -- a feature is used on many days by many customers
    select distinct
        feature,
        activity_date,
        known_date
    from daily_feature_use

),

offered_features as (

    select
        dates.as_of_date,
        count(distinct seen_features.feature) as features
    from dates
    inner join seen_features
        on {{ holdfast.is_visible('seen_features.known_date', 'dates.as_of_date') }}
        and {{ holdfast.in_window('seen_features.activity_date', 'dates.as_of_date', 90) }}
    group by dates.as_of_date

),

feature_use as (

    select
        observations.customer_id,
        observations.as_of_date,
        cast(coalesce(counts.features_used_7d, 0) as integer) as features_used_7d,
        cast(coalesce(counts.features_used_prior_7d, 0) as integer) as features_used_prior_7d,
        cast(coalesce(counts.features_used_30d, 0) as integer) as features_used_30d,
        cast(coalesce(counts.features_used_90d, 0) as integer) as features_used_90d,
        cast(coalesce(offered_features.features, 0) as integer) as offered_features,
        observations.built_from
    from observations
    left join counts
        on observations.observation_number = counts.observation_number
    left join offered_features
        on observations.as_of_date = offered_features.as_of_date

)

select * from feature_use
