{#- The input contract, as models/bronze/_bronze.yml states it. -#}

{% macro entities() -%}
    {{ return(["customers", "subscriptions", "activity", "tickets", "invoices", "orders", "touches"]) }}
{%- endmacro %}


{% macro contract(entity) -%}
    {#-
        {nature, key, columns: [{name, data_type, meta}]} of one entity. While dbt parses there is no graph yet and the
        columns are empty; only the text of a query depends on them, never its refs.
    -#}
    {%- if execute and entity not in holdfast.entities() -%}
        {{ exceptions.raise_compiler_error(
            "The contract knows the entities " ~ holdfast.entities() | join(", ") ~ "; got '" ~ entity ~ "'."
        ) }}
    {%- endif -%}
    {%- if not execute -%}
        {{ return({"nature": "fact", "key": entity, "columns": []}) }}
    {%- endif -%}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "contract of " ~ entity -%}
    {%- if name not in remembered -%}
        {%- set node = graph.nodes["model.holdfast.bronze_" ~ entity] -%}
        {%- set columns = [] -%}
        {%- for column in node.columns.values() if column.name != "built_from" -%}
            {%- do columns.append({"name": column.name, "data_type": column.data_type, "meta": column.meta}) -%}
        {%- endfor -%}
        {%- do remembered.update({name: {
            "nature": node.config.meta.nature,
            "key": (columns | selectattr("meta.is_key", "defined") | first).name,
            "columns": columns,
        }}) -%}
    {%- endif -%}
    {{ return(remembered[name]) }}
{%- endmacro %}


{% macro memory() -%}
    {#-
        What was found out of the graph, for the rest of this invocation: its nodes each ask for the same again, which took a
        sixth of a small build. dbt gives every node the same graph, so it is kept there; two threads write equal values.
    -#}
    {{ return(graph.setdefault("holdfast_memory", {})) }}
{%- endmacro %}


{% macro record_key(entity) -%}
    {#- What makes a row the same row: a fact's id; a version's id and the moment it was known. -#}
    {%- set contract = holdfast.contract(entity) -%}
    {{ contract.key }}
    {%- if contract.nature == "version" %} || ' known ' || {{ holdfast.text_of("known_at", "timestamp") }}{% endif -%}
{%- endmacro %}


{% macro reject_reason(entity, has_unparseable=true) -%}
    {#- Why a row breaks the contract, in words; null where it keeps it. The first reason wins. -#}
    {%- set columns = holdfast.contract(entity).columns -%}
    case
        {%- if has_unparseable %}
        when unparseable is not null then 'unparseable ' || unparseable
        {%- endif %}
        {%- for column in columns if column.meta.is_required %}
        when {{ column.name }} is null then 'missing {{ column.name }}'
        {%- endfor %}
        {%- for column in columns if column.meta.clock == "event" %}
        when {{ column.name }} > known_at then '{{ column.name }} is later than known_at'
        {%- endfor %}
        {%- for column in columns if column.meta.min is defined %}
        when {{ column.name }} < {{ column.meta.min }} then '{{ column.name }} is below {{ column.meta.min }}'
        {%- endfor %}
        {%- for column in columns if column.meta.max is defined %}
        when {{ column.name }} > {{ column.meta.max }} then '{{ column.name }} is above {{ column.meta.max }}'
        {%- endfor %}
        {%- if not columns %}
        when false then ''
        {%- endif %}
    end
{%- endmacro %}


{% macro columns_of(relation) -%}
    {#- {name, data_type, meta, description} of the columns that a relation's YAML names; empty while dbt parses. -#}
    {%- set columns = [] -%}
    {%- for node in (graph.nodes.values() if execute else []) if node.resource_type in ["model", "seed"] and node.package_name == "holdfast"
        and node.schema == relation.schema and node.alias == relation.identifier -%}
        {%- do columns.extend(node.columns.values()) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
