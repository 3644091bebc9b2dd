-- A returned row is a label that is known on another day than D + horizon + grace + delay; churn by inactivity has no grace.
{%- set grace_days = var('grace_days') if var('churn_definition') == 'subscription' else 0 %}
{%- set wait_days = grace_days + var('label_delay_days') %}
with horizons as (

    select 'no horizon' as case_name, date '2024-02-29' as as_of_date, 0 as horizon_days
    union all
    select '30 days', date '2024-02-29', 30
    union all
    select '90 days', date '2024-02-29', 90

),

judged as (

    select
        case_name,
        {{ holdfast.label_known_at('as_of_date', 'horizon_days') }} as actual,
        -- counted in seconds, not by the macro under test
        cast(cast(as_of_date as timestamp) + (horizon_days + {{ wait_days }}) * interval '86400' second as date) as expected
    from horizons

)

select * from judged
where actual is distinct from expected
