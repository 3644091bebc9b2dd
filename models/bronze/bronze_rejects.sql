{{ config(materialized='table') }}

with conflicts as (

    select * from {{ ref('bronze_repeats') }}
    where is_conflict

),

rejects as (

    {% for entity in holdfast.entities() -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        {{ holdfast.contract(entity).key }} as record_key,
        {{ holdfast.reject_reason(entity) }} as reason,
        known_at,
        row_text
    from {{ ref('bronze_input_' ~ entity) }}
    where {{ holdfast.reject_reason(entity) }} is not null
    union all
    {% endfor -%}
    select
        entity,
        record_key,
        'another row with this key and other values came first' as reason,
        known_at,
        row_text
    from conflicts

)

select * from rejects
