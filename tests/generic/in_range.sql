{% test in_range(model, column_name, min=none, max=none) %}
    {#- A returned row has a value outside [min, max]; either end may be left out. A null is in any range. -#}
    {%- if min is none and max is none -%}
        {{ exceptions.raise_compiler_error("in_range wants min, max or both, and got neither for '" ~ column_name ~ "'.") }}
    {%- endif -%}
    select {{ column_name }}
    from {{ model }}
    where {{ [
        column_name ~ " < " ~ min if min is not none else "",
        column_name ~ " > " ~ max if max is not none else "",
    ] | select | join("\n        or ") }}
{% endtest %}
