{% macro versions(entity) -%}
    {#-
        Bronze versions of an entity as half-open intervals [known_from, known_to), one open per key. A version ends where
        the next one starts, on whatever day that lies: a key with a row on a changed day is built again in all its versions.
    -#}
    {%- set contract = holdfast.contract(entity) -%}
    {%- set changed = holdfast.missing_slices("known_dates:" ~ entity, with_gone=true) -%}
    select
        {%- for column in contract.columns if column.name != "known_at" %}
        entity_rows.{{ column.name }},
        {%- endfor %}
        entity_rows.known_at as known_from,
        lead(entity_rows.known_at) over (
            partition by entity_rows.{{ contract.key }} order by entity_rows.known_at asc nulls last
        ) as known_to,
        plan.built_from
    from {{ ref("bronze_" ~ entity) }} as entity_rows
    inner join (
        {{ holdfast.slice_plan("known_dates:" ~ entity) }}
    ) as plan
        on cast(entity_rows.known_at as date) = plan.slice
    {%- if changed is not none %}
    where entity_rows.{{ contract.key }} in (
        select {{ contract.key }} from {{ ref("bronze_" ~ entity) }}
        where cast(known_at as date) in ({{ holdfast.slices_named(changed, "date") }})
        union all
        select {{ contract.key }} from {{ this }}
        where cast(known_from as date) in ({{ holdfast.slices_named(changed, "date") }})
    )
    {%- endif %}
{%- endmacro %}


{% macro is_login(activity) -%}
    {{ activity }}.action in ({% for action in var("login_actions") %}'{{ action | replace("'", "''") }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
