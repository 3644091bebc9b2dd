{{ config(materialized='table') }}

{% for entity in holdfast.entities() -%}
select
    cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
    {{ holdfast.record_key(entity) }} as record_key,
    cast(count(*) as integer) as row_count
from {{ ref('bronze_input_' ~ entity) }}
where {{ holdfast.reject_reason(entity) }} is null
group by {{ holdfast.record_key(entity) }}
having count(*) > 1
{{ 'union all' if not loop.last }}
{% endfor %}
