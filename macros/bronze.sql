{#-
    Bronze lets in every valid row once. Of a key that came more than once the first known row is kept; a later row with
    equal values is a repeat and dropped, one with other values is a conflict and rejected.
-#}

{% macro valid_rows(entity) -%}
    {#- The rows that keep the contract, repeats among them. -#}
    select
        {%- for column in holdfast.contract(entity).columns %}
        {{ column.name }},
        {%- endfor %}
        {{ holdfast.record_key(entity) }} as record_key
    from {{ ref("bronze_input_" ~ entity) }}
    where {{ holdfast.reject_reason(entity) }} is null
{%- endmacro %}


{% macro bronze_rows(entity) -%}
    {{ config(
        materialized="slices",
        incremental_strategy="slices",
        slice_column="cast(known_at as date)",
        slice_plan="deliveries:" ~ entity,
        on_schema_change="append_new_columns",
    ) }}
    {%- set columns = holdfast.contract(entity).columns | map(attribute="name") | list -%}
    {%- set missing = holdfast.missing_slices("deliveries:" ~ entity) -%}
with slices as (

    select * from {{ holdfast.slices_to_build("deliveries:" ~ entity, missing) }} as to_build

),

repeats as (

    select * from {{ ref("bronze_repeats") }}
    where entity = '{{ entity }}'
        and occurrence = 1

),

valid as (

    {{ holdfast.valid_rows(entity) }}
    {%- if missing %}
        and {{ holdfast.known_between(missing[0].slice, missing[-1].slice) }}
    {%- endif %}

),

to_build as {{ holdfast.read_anew() }} (

    select
        valid.*,
        slices.built_from
    from valid
    inner join slices
        on cast(valid.known_at as date) = slices.slice

),

met_once as (

    select to_build.*
    from to_build
    left join repeats
        on to_build.record_key = repeats.record_key
    where repeats.record_key is null

),

first_of_several as (

    select
        to_build.*,
        -- exact repeats are alike in everything; one of them stays
        row_number() over (partition by to_build.record_key order by to_build.known_at asc nulls last) as place
    from to_build
    inner join repeats
        on to_build.record_key = repeats.record_key
        and to_build.known_at = repeats.known_at
        and md5({{ holdfast.row_text(holdfast.named_in("to_build", holdfast.contract(entity).columns)) }}) = repeats.row_fingerprint

),

kept as (

    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        built_from
    from met_once
    union all
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        built_from
    from first_of_several
    where place = 1

)

select * from kept
{%- endmacro %}


{% macro named_in(relation, columns) -%}
    {#- The same columns, qualified. -#}
    {%- set named = [] -%}
    {%- for column in columns -%}
        {%- do named.append({"name": relation ~ "." ~ column.name, "data_type": column.data_type}) -%}
    {%- endfor -%}
    {{ return(named) }}
{%- endmacro %}


{% macro repeated_rows(entity, changed=none) -%}
    {#-
        Every row of the keys that came more than once, in the order we knew them; rows known at once, by their values.
        `changed`: input days of which something changed; then only of the keys that have a row on one of them, or had.
    -#}
    {%- set contract = holdfast.contract(entity) -%}
    {%- set columns = contract.columns -%}
    {%- set values = columns | rejectattr("name", "equalto", "known_at") | list -%}
    {%- set first_known = "(partition by record_key order by known_at asc nulls last, row_fingerprint asc nulls last)" -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        record_key,
        cast(row_number() over {{ first_known }} as integer) as occurrence,
        value_fingerprint != first_value(value_fingerprint) over {{ first_known }} as is_conflict,
        known_at,
        row_fingerprint,
        row_text,
        built_from
    from (
        select
            plan.built_from,
            valid.record_key,
            valid.known_at,
            count(*) over (partition by valid.record_key) as valid_rows,
            md5({{ holdfast.row_text(holdfast.named_in("valid", values)) }}) as value_fingerprint,
            md5({{ holdfast.row_text(holdfast.named_in("valid", columns)) }}) as row_fingerprint,
            {{ holdfast.labelled_row(columns) }} as row_text
        from (
            {{ holdfast.valid_rows(entity) }}
            {{ holdfast.in_days_of(changed, entity) if contract.nature == "version" }}
        ) as valid
        inner join (
            -- valid or not: to tell takes every column, and of what came only once none has to be read
            select {{ holdfast.record_key(entity) }} as record_key
            from {{ ref("bronze_input_" ~ entity) }}
            where true
                {%- if contract.nature == "version" %}
                -- the key of a version holds the moment it was known: all its rows lie on one day
                {{ holdfast.in_days_of(changed, entity) }}
                {%- elif changed is not none %}
                and {{ contract.key }} in (
                    select changed_rows.record_key from (
                        {{ holdfast.valid_rows(entity) }}
                        {{ holdfast.in_days_of(changed, entity) }}
                    ) as changed_rows
                    union all
                    select record_key from {{ this }}
                    where entity = '{{ entity }}'
                        and occurrence > 0
                        and {{ config.get("slice_column") }} in ({{ holdfast.slices_named(changed, dbt.type_string()) }})
                )
                {%- endif %}
            group by {{ holdfast.record_key(entity) }}
            having count(*) > 1
        ) as repeated
            on valid.record_key = repeated.record_key
        inner join plan
            on plan.slice = {{ holdfast.input_day("'" ~ entity ~ "'", "cast(valid.known_at as date)") }}
    ) as rows_of_repeated_keys
    where valid_rows > 1
{%- endmacro %}


{% macro labelled_row(columns) -%}
    {#- A valid row for a person to read: `name=value; name=value`. -#}
    {%- for column in columns -%}
        {%- if not loop.first %} || '; ' || {% endif -%}
        '{{ column.name }}=' || coalesce(cast(valid.{{ column.name }} as {{ dbt.type_string() }}), '')
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}


{% macro known_between(first_date, last_date) -%}
    {#- Said beside the join with the slices so that a reader of files can skip what lies outside. -#}
    known_at >= cast('{{ first_date }}' as timestamp)
    and known_at < cast({{ holdfast.add_days("cast('" ~ last_date ~ "' as date)", 1) }} as timestamp)
{%- endmacro %}
