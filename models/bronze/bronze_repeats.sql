{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column=holdfast.input_day('entity', 'cast(known_at as date)'),
    slice_key="case when occurrence > 0 then entity || ' ' || record_key end",
    slice_plan='raw_days',
    on_schema_change='append_new_columns',
) }}

-- A key may come again on any day, so a changed day is compared with all others, by its keys. Every day that was looked at
-- leaves a row of its own, with occurrence 0: most days have no repeat to remember them by.
{% set changed = holdfast.missing_slices('raw_days', with_gone=true) -%}
with plan as (

    {{ holdfast.slice_plan('raw_days') }}

),

slices as (

    select * from {{ holdfast.slices_to_build('raw_days', changed) }} as to_build

),

looked_at as (

    select
        digests.entity,
        cast(digests.known_date as {{ dbt.type_string() }}) as record_key,
        0 as occurrence,
        false as is_conflict,
        cast(digests.known_date as timestamp) as known_at,
        cast(null as {{ dbt.type_string() }}) as row_fingerprint,
        cast(null as {{ dbt.type_string() }}) as row_text,
        slices.built_from
    from {{ ref('bronze_digests') }} as digests
    inner join slices
        on slices.slice = {{ holdfast.input_day('digests.entity', 'digests.known_date') }}
    where digests.known_date is not null

),

repeats as (

    {% for entity in holdfast.entities_in(changed) -%}
    {{ holdfast.repeated_rows(entity, changed) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from looked_at
union all
select * from repeats
