{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Analysts type `gold.customer_360`: the schema is the layer, without the target's name before it. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}


{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {#- A relation's name is the model's name without its layer prefix. -#}
    {%- set name = (custom_alias_name or node.name) | trim -%}
    {%- for layer in ["bronze", "silver", "gold", "marts"] if name.startswith(layer ~ "_") and node.resource_type == "model" -%}
        {%- set ns = name[(layer | length) + 1:] -%}
        {{ ns }}
    {%- else -%}
        {{ name }}
    {%- endfor -%}
{%- endmacro %}
