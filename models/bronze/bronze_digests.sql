{{ config(materialized='table') }}

-- The one pass over all raw rows that every build makes: a cheap hash of what lies there, whatever the order of rows. What
-- it says to be unchanged is not read again. The hash is the engine's own and is compared only with itself.
{% for entity in holdfast.entities() -%}
select
    cast('{{ entity }}' as {{ dbt.type_string() }}) as entity,
    cast(known_at as date) as known_date,
    {{ holdfast.fingerprint_of('count(*)', 'sum(' ~ holdfast.engine_hash(holdfast.contract(entity).columns | map(attribute='name') | list + ['unparseable']) ~ ')') }} as digest
from {{ ref('bronze_input_' ~ entity) }}
group by cast(known_at as date)
{{ 'union all' if not loop.last }}
{% endfor %}
