{% test keeps_limits(model) %}
    {#-
        A returned row has a value outside what its column's meta allows: a null where it is required, or beyond min or max.
        One test a model, because a query a column costs more than it tells.
    -#}
    {%- set conditions = [] -%}
    {%- for column in holdfast.columns_of(model) -%}
        {%- if column.meta.is_required -%}{%- do conditions.append(column.name ~ " is null") -%}{%- endif -%}
        {%- if column.meta.min is defined -%}{%- do conditions.append(column.name ~ " < " ~ column.meta.min) -%}{%- endif -%}
        {%- if column.meta.max is defined -%}{%- do conditions.append(column.name ~ " > " ~ column.meta.max) -%}{%- endif -%}
    {%- endfor -%}
    select * from {{ model }}
    where {{ conditions | join("\n        or ") if conditions else "false" }}
{% endtest %}
