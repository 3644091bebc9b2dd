with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

touches_versions as (

    select * from {{ ref('silver_touches_versions') }}

),

touches as (

    select
        observations.customer_id,
        observations.as_of_date,
        {{ holdfast.in_window('touches_versions.sent_at', 'observations.as_of_date', 90) }} as is_sent_90d,
        {{ holdfast.in_window('touches_versions.accepted_at', 'observations.as_of_date', 365) }} as is_accepted_365d,
        touches_versions.opened_at is not null as is_opened,
        touches_versions.clicked_at is not null as is_clicked
    from observations
    inner join touches_versions
        on observations.customer_id = touches_versions.customer_id
        and {{ holdfast.is_version_at('touches_versions', 'observations.as_of_date') }}
    where touches_versions.is_holdout is not true

),

sums as (

    select
        customer_id,
        as_of_date,
        count(*) filter (where is_sent_90d) as touches_90d,
        count(*) filter (where is_sent_90d and is_opened) as opened,
        count(*) filter (where is_sent_90d and is_clicked) as clicked,
        count(*) filter (where is_accepted_365d) as offers_accepted_365d
    from touches
    group by customer_id, as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        cast(coalesce(sums.touches_90d, 0) as integer) as touches_90d,
        {{ holdfast.ratio('sums.opened', 'sums.touches_90d') }} as open_ratio_90d,
        {{ holdfast.ratio('sums.clicked', 'sums.touches_90d') }} as click_ratio_90d,
        cast(coalesce(sums.offers_accepted_365d, 0) as integer) as offers_accepted_365d,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date

)

select * from features
