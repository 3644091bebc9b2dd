{% macro bronze_rows(entity) -%}
    {#- What the contract lets in: every valid row, once. Of a key that came again, the first known one is kept. -#}
    {%- set columns = holdfast.contract(entity).columns -%}
with arrived as (

    select * from {{ ref("bronze_input_" ~ entity) }}

),

repeated_keys as (

    select record_key from {{ ref("bronze_repeated_keys") }}
    where entity = '{{ entity }}'

),

valid as (

    select
        {%- for column in columns %}
        {{ column.name }},
        {%- endfor %}
        {{ holdfast.record_key(entity) }} as record_key
    from arrived
    where {{ holdfast.reject_reason(entity) }} is null

),

met_once as (

    select valid.*
    from valid
    left join repeated_keys
        on valid.record_key = repeated_keys.record_key
    where repeated_keys.record_key is null

),

met_again as (

    select
        valid.*,
        {{ holdfast.occurrence(columns) }} as occurrence
    from valid
    inner join repeated_keys
        on valid.record_key = repeated_keys.record_key

),

kept as (

    select
        {%- for column in columns %}
        {{ column.name }}{{ "," if not loop.last }}
        {%- else %} * {%- endfor %}
    from met_once
    union all
    select
        {%- for column in columns %}
        {{ column.name }}{{ "," if not loop.last }}
        {%- else %} * {%- endfor %}
    from met_again
    where occurrence = 1

)

select * from kept
{%- endmacro %}


{% macro occurrence(columns) -%}
    {#- Rows of one key in the order we knew them; rows known at the same moment, by their values. -#}
    row_number() over (
        partition by valid.record_key
        order by valid.known_at asc nulls last, md5({{ holdfast.row_text(columns) }}) asc nulls last
    )
{%- endmacro %}


{% macro repeated_rows(entity) -%}
    {#- The second and later rows of each repeated key, and whether their values differ from the first's. -#}
    {%- set columns = holdfast.contract(entity).columns -%}
    {%- set values = columns | rejectattr("name", "equalto", "known_at") | list -%}
    select
        '{{ entity }}' as entity,
        record_key,
        known_at,
        is_conflict,
        row_text
    from (
        select
            valid.record_key,
            valid.known_at,
            valid.row_text,
            {{ holdfast.occurrence(columns) }} as occurrence,
            md5({{ holdfast.row_text(values) }}) is distinct from first_value(md5({{ holdfast.row_text(values) }})) over (
                partition by valid.record_key
                order by valid.known_at asc nulls last, md5({{ holdfast.row_text(columns) }}) asc nulls last
            ) as is_conflict
        from (
            select
                input_rows.*,
                {{ holdfast.record_key(entity) }} as record_key
            from {{ ref("bronze_input_" ~ entity) }} as input_rows
            where {{ holdfast.reject_reason(entity) }} is null
        ) as valid
        inner join {{ ref("bronze_repeated_keys") }} as repeated_keys
            on valid.record_key = repeated_keys.record_key
            and repeated_keys.entity = '{{ entity }}'
    ) as numbered
    where occurrence > 1
{%- endmacro %}
