{{ config(materialized='table') }}

-- What bronze holds of each known day, counted without bronze: all valid rows, less those that came again. Equal for equal
-- rows in any order, and read afresh at every build: a day whose delivery changed is built again, no other.
with repeats as (

    select * from {{ ref('bronze_repeats') }}
    where occurrence > 1

),

valid as (

    {% for entity in holdfast.entities() -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        cast(known_at as date) as known_date,
        count(*) as row_count,
        sum({{ holdfast.hash_number('md5(' ~ holdfast.row_text(holdfast.contract(entity).columns) ~ ')') }}) as hash_sum,
        min(known_at) as first_known_at,
        max(known_at) as last_known_at
    from (
        {{ holdfast.valid_rows(entity) }}
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
        valid.entity,
        valid.known_date,
        valid.row_count - coalesce(again.row_count, 0) as row_count,
        cast(valid.hash_sum - coalesce(again.hash_sum, 0) as decimal(38, 0)) as hash_sum,
        valid.first_known_at,
        valid.last_known_at
    from valid
    left join again
        on valid.entity = again.entity
        and valid.known_date = again.known_date

)

select * from deliveries
where row_count > 0
