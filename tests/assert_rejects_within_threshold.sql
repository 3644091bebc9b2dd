-- Of an entity's rows, no larger share is rejected than the var reject_ratio_max allows. A returned
-- row is an entity past its limit; bronze.rejects has the rows, each with its reason. The limits of
-- 2 % lie well above what the demo's dirt comes to (0.2 %), and far below what a wrong mapping
-- rejects (nearly all).

with intake as (

    select * from {{ ref('silver_intake') }}

),

limits as (
    {% for entity, share in var('reject_ratio_max').items() if share is not none %}
    select
        '{{ entity }}' as entity,
        cast({{ share }} as decimal(18, 6)) as reject_ratio_max
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as entity,
        cast(null as decimal(18, 6)) as reject_ratio_max

),

ratios as (

    select
        entity,
        rows_in,
        rejects,
        {{ holdfast.ratio('rejects', 'rows_in') }} as reject_ratio
    from intake

)

select
    ratios.entity,
    ratios.rows_in,
    ratios.rejects,
    ratios.reject_ratio,
    limits.reject_ratio_max
from ratios
inner join limits
    on ratios.entity = limits.entity
where ratios.reject_ratio > limits.reject_ratio_max
