{% macro versions(entity) -%}
    {#- Bronze versions of an entity as half-open intervals [known_from, known_to), one open per key. -#}
    {%- set contract = holdfast.contract(entity) -%}
    select
        {%- for column in contract.columns if column.name != "known_at" %}
        {{ column.name }},
        {%- endfor %}
        known_at as known_from,
        lead(known_at) over (partition by {{ contract.key }} order by known_at asc nulls last) as known_to
    from {{ ref("bronze_" ~ entity) }}
{%- endmacro %}


{% macro is_login(activity) -%}
    {{ activity }}.action in ({% for action in var("login_actions") %}'{{ action | replace("'", "''") }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
