{% macro create_ml_tables() -%}
    {#-
        Creates each table of the source `ml` that does not exist, empty and typed as its YAML says, so that the project
        builds before any model is trained; a column that a table of an older version lacks is added, null in its rows.
        Runs at the start of every dbt invocation that runs nodes.
    -#}
    {%- if execute -%}
        {%- set tables = graph.sources.values() | selectattr("package_name", "equalto", "holdfast")
            | selectattr("source_name", "equalto", "ml") | list -%}
        {%- do run_query("create schema if not exists " ~ api.Relation.create(database=target.database, schema="ml").without_identifier().include(database=false)) -%}
        {%- for table in tables -%}
            {%- set relation = api.Relation.create(database=table.database, schema=table.schema, identifier=table.identifier) -%}
            {%- set columns = [] -%}
            {%- for column in table.columns.values() -%}
                {%- do columns.append(column.name ~ " " ~ holdfast.type_of(column.data_type)) -%}
            {%- endfor -%}
            {%- do run_query("create table if not exists " ~ relation ~ " (" ~ columns | join(", ") ~ ")") -%}
            {#- Not by the adapter: its look-up leaves a transaction open, which takes the new column back. -#}
            {%- set there = run_query("select * from " ~ relation ~ " where 1 = 0").column_names -%}
            {%- for column in table.columns.values() if column.name not in there -%}
                {%- do run_query("alter table " ~ relation ~ " add column " ~ column.name ~ " " ~ holdfast.type_of(column.data_type)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
