{{ config(materialized='table') }}

{% for entity in holdfast.entities() -%}
{{ holdfast.repeated_rows(entity) }}
{{ 'union all' if not loop.last }}
{% endfor %}
