{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column=holdfast.input_day('entity', 'cast(known_at as date)'),
    slice_plan='rejects',
    on_schema_change='append_new_columns',
) }}

{% set missing = holdfast.missing_slices('rejects') -%}
with slices as (

    select * from {{ holdfast.slices_to_build('rejects', missing) }} as to_build

),

conflicts as (

    select * from {{ ref('bronze_repeats') }}
    where is_conflict

),

broken as (

    {% for entity in holdfast.entities_in(missing) -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        {{ holdfast.contract(entity).key }} as record_key,
        {{ holdfast.reject_reason(entity) }} as reason,
        known_at,
        row_text
    from {{ ref('bronze_input_' ~ entity) }}
    where {{ holdfast.reject_reason(entity) }} is not null
        {{ holdfast.in_days_of(missing, entity) }}
    union all
    {% endfor -%}
    select
        entity,
        record_key,
        'another row with this key and other values came first' as reason,
        known_at,
        row_text
    from conflicts

),

rejects as (

    select
        broken.entity,
        broken.record_key,
        broken.reason,
        broken.known_at,
        broken.row_text,
        slices.built_from
    from broken
    inner join slices
        on slices.slice = {{ holdfast.input_day('broken.entity', 'cast(broken.known_at as date)') }}

)

select * from rejects
