with arrivals as (

    select
        entity,
        sum(row_count) as rows_kept
    from {{ ref('silver_arrivals') }}
    group by entity

),

repeats as (

    select
        entity,
        count(*) as repeats
    from {{ ref('bronze_repeats') }}
    where occurrence > 1
        and not is_conflict
    group by entity

),

rejects as (

    select
        entity,
        count(*) as rejects
    from {{ ref('bronze_rejects') }}
    group by entity

),

inputs as (

    {% for entity in holdfast.entities() -%}
    select
        cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
        count(*) as rows_in
    from {{ ref('bronze_input_' ~ entity) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

intake as (

    select
        inputs.entity,
        inputs.rows_in,
        cast(coalesce(arrivals.rows_kept, 0) as bigint) as rows_kept,
        coalesce(repeats.repeats, 0) as repeats,
        coalesce(rejects.rejects, 0) as rejects
    from inputs
    left join arrivals
        on inputs.entity = arrivals.entity
    left join repeats
        on inputs.entity = repeats.entity
    left join rejects
        on inputs.entity = rejects.entity

)

select * from intake
