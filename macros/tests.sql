{#- What the generic tests ask, so that one test can ask several things of a relation. -#}

{% macro broken_keys(model, columns) -%}
    {#-
        The keys that stand more than once, or have a null where their column may not be null. Equal keys have equal hashes, and
        to count hashes takes half as long: only keys whose hash stands twice are counted themselves.
    -#}
    select
        {{ columns | join(", ") }},
        'key null or not unique' as broken
    from {{ model }}
    where {{ columns[0] }} is null
        or {{ holdfast.engine_hash(columns) }} in (
            select {{ holdfast.engine_hash(columns) }}
            from {{ model }}
            group by {{ holdfast.engine_hash(columns) }}
            having count(*) > 1
        )
    group by {{ columns | join(", ") }}
    having count(*) > 1 or {{ columns[0] }} is null
{%- endmacro %}


{% macro is_beyond_limits(model) -%}
    {#-
        Whether a row has a value outside what the meta of its column allows: a null where it is required or `never null`, beyond
        `min` or `max`; an event of an input later than its own `known_at`; of features also what the unit allows: a count, days
        since or days in a window below 0, a ratio that says `0 to 1` outside it.
    -#}
    {%- set conditions = [] -%}
    {%- for column in holdfast.columns_of(model) -%}
        {%- set meta = column.meta -%}
        {%- if meta.is_required or meta.null_means == "never null" -%}
            {%- do conditions.append(column.name ~ " is null") -%}
        {%- endif -%}
        {%- if meta.clock == "event" -%}
            {%- do conditions.append(column.name ~ " > known_at") -%}
        {%- endif -%}
        {%- if meta.min is defined -%}
            {%- do conditions.append(column.name ~ " < " ~ meta.min) -%}
        {%- elif meta.unit == "count" or meta.family and column.name.startswith(("days_since", "active_days")) -%}
            {%- do conditions.append(column.name ~ " < 0") -%}
        {%- endif -%}
        {%- if meta.max is defined -%}
            {%- do conditions.append(column.name ~ " > " ~ meta.max) -%}
        {%- endif -%}
        {%- if meta.family and meta.unit == "ratio" and "0 to 1" in column.description -%}
            {%- do conditions.append(column.name ~ " not between 0 and 1") -%}
        {%- endif -%}
    {%- endfor -%}
    {{ conditions | join("\n        or ") if conditions else "false" }}
{%- endmacro %}
