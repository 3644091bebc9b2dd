{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column='cast(known_from as date)',
    slice_key='ticket_id',
    slice_plan='known_dates:tickets',
    on_schema_change='append_new_columns',
) }}

with versions as (

    {{ holdfast.versions('tickets') }}

),

ticket_texts as (

    select * from {{ ref('silver_ticket_texts') }}

),

ticket_versions as (

    select
        versions.ticket_id,
        versions.customer_id,
        versions.opened_at,
        versions.first_response_at,
        versions.resolved_at,
        versions.escalated_at,
        versions.priority,
        versions.category,
        versions.channel,
        versions.csat_score,
        versions.csat_at,
        ticket_texts.sentiment,
        ticket_texts.intent,
        versions.known_from,
        versions.known_to,
        versions.built_from
    from versions
    left join ticket_texts
        on md5(coalesce(versions.subject, '') || ' ' || coalesce(versions.body, '')) = ticket_texts.text_fingerprint

)

select * from ticket_versions
