{% for entity in holdfast.entities() -%}
select
    cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
    cast(known_at as date) as known_date,
    count(*) as row_count,
    {{ holdfast.fingerprint(holdfast.contract(entity).columns) }} as fingerprint,
    min(known_at) as first_known_at,
    max(known_at) as last_known_at
from {{ ref('bronze_' ~ entity) }}
group by cast(known_at as date)
{{ 'union all' if not loop.last }}
{% endfor %}
