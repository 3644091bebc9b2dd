{%- set measures = ['logins', 'actions', 'minutes'] %}
{%- set reach_days = var('windows') | max %}

with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

daily_engagement as (

    select
        *,
        -- a day of which we learned twice is one active day, from when we first knew of it
        known_date = min(known_date) over (partition by customer_id, activity_date) as is_first_known
    from {{ ref('silver_daily_engagement') }}
    where {{ holdfast.within_reach('activity_date', 'observations', reach_days) }}

),

feature_days as (

    select * from {{ ref('silver_daily_activity') }}
    where feature is not null
        and {{ holdfast.within_reach('activity_date', 'observations', 90) }}

),

sums as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        {%- set in_window = holdfast.in_window('daily_engagement.activity_date', 'observations.as_of_date', window.days) %}
        count(*) filter (where daily_engagement.is_first_known and {{ in_window }}) as active_days_{{ window.suffix }},
        {%- for measure in measures %}
        sum(daily_engagement.{{ measure }}) filter (where {{ in_window }}) as {{ measure }}_{{ window.suffix }}{{ "," if not loop.last }}
        {%- endfor %}{{ "," if not loop.last }}
        {%- endfor %}
    from observations
    inner join daily_engagement
        on observations.customer_id = daily_engagement.customer_id
        and {{ holdfast.is_visible('daily_engagement.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('daily_engagement.activity_date', 'observations.as_of_date', reach_days) }}
    group by observations.customer_id, observations.as_of_date

),

last_uses as (

    select
        observations.customer_id,
        observations.as_of_date,
        feature_days.feature,
        max(feature_days.activity_date) as activity_date
    from observations
    inner join feature_days
        on observations.customer_id = feature_days.customer_id
        and {{ holdfast.is_visible('feature_days.known_date', 'observations.as_of_date') }}
        and {{ holdfast.in_window('feature_days.activity_date', 'observations.as_of_date', 90) }}
    group by observations.customer_id, observations.as_of_date, feature_days.feature

),

features_used as (

    select
        customer_id,
        as_of_date,
        count(*) filter (where {{ holdfast.in_window('activity_date', 'as_of_date', 30) }}) as features_used_30d,
        count(*) as features_used_90d
    from last_uses
    group by customer_id, as_of_date

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
    from feature_days

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

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        cast(coalesce(sums.active_days_{{ window.suffix }}, 0) as integer) as active_days_{{ window.suffix }},
        {%- for measure in measures %}
        cast(coalesce(sums.{{ measure }}_{{ window.suffix }}, 0) as {{ 'decimal(18, 2)' if measure == 'minutes' else 'bigint' }}) as {{ measure }}_{{ window.suffix }},
        {%- endfor %}
        {%- endfor %}
        cast(coalesce(features_used.features_used_30d, 0) as integer) as features_used_30d,
        cast(coalesce(features_used.features_used_90d, 0) as integer) as features_used_90d,
        {{ holdfast.ratio('coalesce(features_used.features_used_30d, 0)', 'offered_features.features') }} as feature_adoption_ratio_30d,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date
    left join features_used
        on observations.customer_id = features_used.customer_id
        and observations.as_of_date = features_used.as_of_date
    left join offered_features
        on observations.as_of_date = offered_features.as_of_date

)

select * from features
