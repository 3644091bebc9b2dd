with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

activity_bands as (

    select * from {{ ref('gold_activity_bands') }}

),

feature_use as (

    select * from {{ ref('gold_feature_use') }}

),

sums as (

    select
        customer_id,
        as_of_date,
        coalesce(sum(logins) filter (where age_band <= 7), 0) as logins_week_4,
        coalesce(sum(logins) filter (where age_band > 7 and age_band <= 14), 0) as logins_week_3,
        coalesce(sum(logins) filter (where age_band > 14 and age_band <= 21), 0) as logins_week_2,
        coalesce(sum(logins) filter (where age_band > 21 and age_band <= 28), 0) as logins_week_1,
        coalesce(sum(actions) filter (where age_band <= 7), 0) as actions_this_week,
        coalesce(sum(actions) filter (where age_band > 7 and age_band <= 14), 0) as actions_last_week,
        coalesce(sum(actions) filter (where age_band <= 30), 0) as actions_30d,
        coalesce(sum(actions) filter (where age_band > 30 and age_band <= 60), 0) as actions_prior_30d
    from activity_bands
    where as_of_date in (select observations.as_of_date from observations)
    group by customer_id, as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.ratio('sums.logins_week_4', 'sums.logins_week_3') }} as logins_wow_ratio,
        {{ holdfast.ratio('sums.actions_this_week', 'sums.actions_last_week') }} as actions_wow_ratio,
        {{ holdfast.ratio('feature_use.features_used_7d', 'feature_use.features_used_prior_7d') }} as features_wow_ratio,
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
    left join feature_use
        on observations.customer_id = feature_use.customer_id
        and observations.as_of_date = feature_use.as_of_date

)

select * from features
