{% macro versions(entity) -%}
    {#- Bronze versions of an entity as half-open intervals [known_from, known_to), one open per key. -#}
    {%- set contract = holdfast.contract(entity) -%}
    select
        {%- for column in contract.columns if column.name != "known_at" %}
        entity_rows.{{ column.name }},
        {%- endfor %}
        entity_rows.known_at as known_from,
        lead(entity_rows.known_at) over (
            partition by entity_rows.{{ contract.key }} order by entity_rows.known_at asc nulls last
        ) as known_to,
        slices.built_from
    from {{ ref("bronze_" ~ entity) }} as entity_rows
    cross join {{ holdfast.slices_to_build("whole:" ~ entity) }} as slices
{%- endmacro %}


{% macro is_login(activity) -%}
    {{ activity }}.action in ({% for action in var("login_actions") %}'{{ action | replace("'", "''") }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
