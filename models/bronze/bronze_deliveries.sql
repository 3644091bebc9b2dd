{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="entity || ' ' || cast(known_date as " ~ dbt.type_string() ~ ")",
    slice_plan='input_days',
    on_schema_change='append_new_columns',
) }}

-- What bronze holds of each known day, counted without bronze: all valid rows, less those that came again. Equal for equal
-- rows in any order. A day whose delivery changed is built again, no other.
{% set missing = holdfast.missing_slices('input_days') -%}
with slices as (

    select * from {{ holdfast.slices_to_build('input_days', missing) }} as to_build

),

days as (

    select
        digests.entity,
        digests.known_date,
        slices.built_from
    from {{ ref('bronze_digests') }} as digests
    inner join slices
        on slices.slice = digests.entity || ' ' || cast(digests.known_date as {{ dbt.type_string() }})

),

repeats as (

    select * from {{ ref('bronze_repeats') }}
    where occurrence > 1

),

valid as (

    {% for entity in holdfast.entities_in(missing) -%}
    {%- set days = holdfast.days_in(missing, entity) %}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        cast(known_at as date) as known_date,
        count(*) as row_count,
        sum({{ holdfast.hash_number('md5(' ~ holdfast.row_text(holdfast.contract(entity).columns) ~ ')') }}) as hash_sum,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at
    from (
        {{ holdfast.valid_rows(entity) }}
        {%- if days %}
            and {{ holdfast.known_between(days[0], days[-1]) }}
        {%- endif %}
    ) as valid
    group by cast(known_at as date)
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

again as (

    select
        entity,
        cast(known_at as date) as known_date,
        count(*) as row_count,
        sum({{ holdfast.hash_number('row_fingerprint') }}) as hash_sum
    from repeats
    group by entity, cast(known_at as date)

),

deliveries as (

    select
        days.entity,
        days.known_date,
        coalesce(valid.row_count, 0) - coalesce(again.row_count, 0) as row_count,
        cast(coalesce(valid.hash_sum, 0) - coalesce(again.hash_sum, 0) as decimal(38, 0)) as hash_sum,
        valid.first_known_at,
        valid.last_known_at,
        days.built_from
    from days
    left join valid
        on days.entity = valid.entity
        and days.known_date = valid.known_date
    left join again
        on days.entity = again.entity
        and days.known_date = again.known_date

)

-- a day on which no valid row came, or nothing but repeats, stays with 0 rows: it has been looked at
select * from deliveries
