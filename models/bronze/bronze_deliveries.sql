{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column=holdfast.input_day('entity', 'known_date'),
    slice_plan='input_days',
    on_schema_change='append_new_columns',
) }}

-- What bronze holds of each known day, counted without bronze: all valid rows, less those that came again. Equal for equal
-- rows in any order. A day whose delivery changed is built again, no other. What is rejected is counted too, so that only
-- days with rejects are read for them.
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
        on slices.slice = {{ holdfast.input_day('digests.entity', 'digests.known_date') }}

),

repeats as (

    select * from {{ ref('bronze_repeats') }}
    where occurrence > 1

),

counts as (

    {% for entity in holdfast.entities_in(missing) -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        cast(known_at as date) as known_date,
        count(*) filter (where reason is null) as row_count,
        sum({{ holdfast.hash_number('md5(' ~ holdfast.row_text(holdfast.contract(entity).columns) ~ ')') }}) filter (
            where reason is null
        ) as hash_sum,
        min(known_at) filter (where reason is null) as first_known_at,
        max(known_at) filter (where reason is null) as last_known_at,
        count(reason) as reject_count
    from (
        select
            {%- for column in holdfast.contract(entity).columns if column.name != 'known_at' %}
            {{ column.name }},
            {%- endfor %}
            known_at,
            {{ holdfast.reject_reason(entity) }} as reason
        from {{ ref('bronze_input_' ~ entity) }}
        where true
            {{ holdfast.in_days_of(missing, entity) }}
    ) as input_rows
    group by cast(known_at as date)
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

again as (

    select
        entity,
        cast(known_at as date) as known_date,
        count(*) as row_count,
        sum({{ holdfast.hash_number('row_fingerprint') }}) as hash_sum,
        count(*) filter (where is_conflict) as conflicts
    from repeats
    group by entity, cast(known_at as date)

),

deliveries as (

    select
        days.entity,
        days.known_date,
        coalesce(counts.row_count, 0) - coalesce(again.row_count, 0) as row_count,
        cast(coalesce(counts.hash_sum, 0) - coalesce(again.hash_sum, 0) as decimal(38, 0)) as hash_sum,
        counts.first_known_at,
        counts.last_known_at,
        coalesce(counts.reject_count, 0) + coalesce(again.conflicts, 0) as reject_count,
        days.built_from
    from days
    -- rows that do not say when they were known are a day too
    left join counts
        on days.entity = counts.entity
        and days.known_date is not distinct from counts.known_date
    left join again
        on days.entity = again.entity
        and days.known_date = again.known_date

)

-- a day on which no valid row came, or nothing but repeats, stays with 0 rows: it has been looked at
select * from deliveries
