{% test feature_ranges(model) %}
    {#-
        A returned row has a feature outside what its unit allows: a count, days since or days in a window below 0, a ratio
        that says `0 to 1` outside it, or a null where its meta says `never null`.
    -#}
    {%- set node = graph.nodes["model.holdfast.gold_" ~ model.identifier] if execute else {"columns": {}} -%}
    {%- set conditions = [] -%}
    {%- for column in node.columns.values() if column.meta.family -%}
        {%- if column.meta.null_means == "never null" -%}
            {%- do conditions.append(column.name ~ " is null") -%}
        {%- endif -%}
        {%- if column.meta.unit == "count" or column.name.startswith("days_since") or column.name.startswith("active_days") -%}
            {%- do conditions.append(column.name ~ " < 0") -%}
        {%- endif -%}
        {%- if column.meta.unit == "ratio" and "0 to 1" in column.description -%}
            {%- do conditions.append(column.name ~ " not between 0 and 1") -%}
        {%- endif -%}
    {%- endfor -%}
    select
        customer_id,
        as_of_date
    from {{ model }}
    where {{ conditions | join("\n        or ") if conditions else "false" }}
{% endtest %}
