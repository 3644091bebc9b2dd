{% macro feature_families() -%}
    {{ return([
        "profile", "activation", "engagement", "recency", "velocity", "support", "contract", "billing", "orders", "touches",
    ]) }}
{%- endmacro %}


{% macro feature_columns(family) -%}
    {#- The features that a family's contract names, in its order; empty while dbt parses. -#}
    {%- if not execute -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set features = [] -%}
    {%- for column in graph.nodes["model.holdfast.gold_features_" ~ family].columns.values() if column.meta.family -%}
        {%- do features.append(column.name) -%}
    {%- endfor -%}
    {{ return(features) }}
{%- endmacro %}
