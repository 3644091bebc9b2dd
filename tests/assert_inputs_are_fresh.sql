-- An entity's newest arrival lies no more than its days (var freshness_days) before data_until. A
-- returned row is an entity that has stopped coming, or comes late. One without rows, or without a
-- limit, is not judged.
-- It warns: what is there is right, only old. The demo's inputs reach to the last day but orders
-- (one day back). Make it an error where decisions are taken within days.
{{ config(severity='warn') }}

with arrivals as (

    select
        entity,
        max(known_date) as newest_known_date
    from {{ ref('silver_arrivals') }}
    group by entity

),

clock as (

    select * from {{ ref('silver_clock') }}

),

limits as (
    {% for entity, days in var('freshness_days').items() if days is not none %}
    select
        '{{ entity }}' as entity,
        {{ days }} as freshness_days
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as entity,
        cast(null as integer) as freshness_days

),

ages as (

    select
        arrivals.entity,
        arrivals.newest_known_date,
        clock.data_until,
        {{ holdfast.days_between('arrivals.newest_known_date', 'clock.data_until') }} as days_old
    from arrivals
    cross join clock

)

select
    ages.entity,
    ages.newest_known_date,
    ages.data_until,
    ages.days_old,
    limits.freshness_days
from ages
inner join limits
    on ages.entity = limits.entity
where ages.days_old > limits.freshness_days
