{%- set reach_days = var('windows') | max %}
{%- set missing = holdfast.missing_slices() %}

with observations as (

    select * from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

tickets_versions as (

    select * from {{ ref('silver_tickets_versions') }}

),

contract as (

    select * from {{ ref('gold_features_contract') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

tickets as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.observation_days,
        tickets_versions.ticket_id,
        tickets_versions.opened_at,
        tickets_versions.resolved_at,
        tickets_versions.escalated_at,
        tickets_versions.csat_score,
        tickets_versions.csat_at,
        tickets_versions.sentiment,
        tickets_versions.intent
    from observations
    inner join tickets_versions
        on observations.customer_id = tickets_versions.customer_id
        and {{ holdfast.is_version_at('tickets_versions', 'observations.as_of_date') }}
        and {{ holdfast.in_window('tickets_versions.opened_at', 'observations.as_of_date', reach_days) }}

),

sums as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        count(*) filter (where {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', window.days) }}) as tickets_{{ window.suffix }},
        {%- endfor %}
        count(*) filter (where observations.resolved_at is null) as open_tickets,
        count(*) filter (where {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', 90) }}) as opened_tickets,
        count(observations.escalated_at) filter (
            where {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', 90) }}
        ) as escalated_tickets,
        count(*) filter (where {{ holdfast.in_window('observations.resolved_at', 'observations.as_of_date', 90) }}) as resolved_tickets,
        sum({{ holdfast.epoch_microseconds('observations.resolved_at') }} - {{ holdfast.epoch_microseconds('observations.opened_at') }}) filter (
            where {{ holdfast.in_window('observations.resolved_at', 'observations.as_of_date', 90) }}
        ) as resolution_microseconds,
        count(observations.csat_score) filter (
            where {{ holdfast.in_window('observations.csat_at', 'observations.as_of_date', 90) }}
        ) as ratings,
        sum(observations.csat_score) filter (
            where {{ holdfast.in_window('observations.csat_at', 'observations.as_of_date', 90) }}
        ) as csat_points,
        count(observations.sentiment) filter (
            where {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', 30) }}
        ) as moods,
        sum(observations.sentiment) filter (
            where {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', 30) }}
        ) as mood_points,
        count(*) filter (
            where observations.intent in ('complaint', 'cancel')
                and {{ holdfast.in_window('observations.opened_at', 'observations.as_of_date', 30) }}
        ) as complaints
    from tickets as observations
    group by observations.customer_id, observations.as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        cast(coalesce(sums.tickets_{{ window.suffix }}, 0) as integer) as tickets_{{ window.suffix }},
        {%- endfor %}
        cast(coalesce(sums.open_tickets, 0) as integer) as open_tickets,
        {{ holdfast.ratio('sums.escalated_tickets', 'sums.opened_tickets') }} as escalation_ratio_90d,
        {{ holdfast.ratio('sums.resolution_microseconds', '3600000000 * sums.resolved_tickets') }} as resolution_hours_avg_90d,
        {{ holdfast.ratio('sums.csat_points', 'sums.ratings') }} as csat_avg_90d,
        {{ holdfast.ratio('cast(sums.mood_points * 1000000 as bigint)', '1000000 * sums.moods') }} as sentiment_avg_30d,
        coalesce(sums.complaints, 0) > 0 and coalesce(contract.days_to_renewal, 61) <= 60 as has_complaint_near_renewal,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date
    left join contract
        on observations.customer_id = contract.customer_id
        and observations.as_of_date = contract.as_of_date

)

select * from features
