{% macro create_ml_tables() -%}
    {#-
        Creates each table of the source `ml` that does not exist, empty and typed as its YAML says, so that the project
        builds before any model is trained; a column that a table of an older version lacks is added, null in its rows.
        Runs at the start of every dbt invocation that runs nodes.
    -#}
    {%- if execute -%}
        {%- set tables = graph.sources.values() | selectattr("package_name", "equalto", "holdfast")
            | selectattr("source_name", "equalto", "ml") | list -%}
        {%- do run_query("create schema if not exists " ~ api.Relation.create(schema="ml").without_identifier().include(database=false)) -%}
        {%- set there = holdfast.ml_tables_there() -%}
        {%- for table in tables -%}
            {%- set relation = api.Relation.create(database=table.database, schema=table.schema, identifier=table.identifier) -%}
            {%- if table.identifier not in there -%}
                {%- set columns = [] -%}
                {%- for column in table.columns.values() -%}
                    {%- do columns.append(column.name ~ " " ~ holdfast.type_of(column.data_type)) -%}
                {%- endfor -%}
                {%- do run_query("create table if not exists " ~ relation ~ " (" ~ columns | join(", ") ~ ")" ~ holdfast.ml_table_partition(table)) -%}
            {%- endif -%}
            {%- set names = there.get(table.identifier) or run_query("select * from " ~ relation ~ " where 1 = 0").column_names -%}
            {%- for column in table.columns.values() if column.name not in names -%}
                {%- do run_query("alter table " ~ relation ~ " add column " ~ column.name ~ " " ~ holdfast.type_of(column.data_type)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro ml_tables_there() -%}
    {#- Name to column names of the tables of schema `ml` where one query tells them all; else nothing, and each is asked. -#}
    {{ return(adapter.dispatch("ml_tables_there", "holdfast")()) }}
{%- endmacro %}

{% macro default__ml_tables_there() -%}
    {#- Not by the adapter: its look-up leaves a transaction open, which takes a new column back. -#}
    {{ return({}) }}
{%- endmacro %}

{% macro spark__ml_tables_there() -%}
    {#- A query takes a fifth of a second in Spark, however small. -#}
    {%- set there = {} -%}
    {%- for row in run_query("show table extended in ml like '*'").rows -%}
        {%- do there.update({row[1]: modules.re.findall("(?m)^ [|]-- ([^:]+):", row[3])}) -%}
    {%- endfor -%}
    {{ return(there) }}
{%- endmacro %}


{% macro ml_table_partition(table) -%}
    {{ adapter.dispatch("ml_table_partition", "holdfast")(table) }}
{%- endmacro %}

{% macro default__ml_table_partition(table) -%}
{%- endmacro %}

{% macro spark__ml_table_partition(table) -%}
    {#- Spark deletes no rows of a Parquet table: what is large and replaced by slices has a partition for each of them. -#}
    {%- if table.meta.get("slice") %} partitioned by ({{ table.meta.slice | join(", ") }}){% endif -%}
{%- endmacro %}
