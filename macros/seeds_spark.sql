{% macro load_csv_rows(model, agate_table) -%}
    {#- For seeds of this package this is found before dbt's own. -#}
    {{ return(adapter.dispatch("seed_rows", "holdfast")(model, agate_table)) }}
{%- endmacro %}

{% macro default__seed_rows(model, agate_table) -%}
    {{ return(dbt.load_csv_rows(model, agate_table)) }}
{%- endmacro %}

{% macro spark__seed_rows(model, agate_table) -%}
    {#-
        A Spark session has no parameters: dbt-spark writes values into the statement, an empty cell as the text 'None', which
        no number is, and a quotation mark as it is.
    -#}
    {%- set types = model["config"].get("column_types", {}) -%}
    {%- set rows = [] -%}
    {%- for row in agate_table.rows -%}
        {%- set cells = [] -%}
        {%- for name in agate_table.column_names -%}
            {%- set value = row[loop.index0] -%}
            {%- set literal = "null" if value is none
                else "'" ~ (value | string | replace("\\", "\\\\") | replace("'", "\\'")) ~ "'" -%}
            {%- do cells.append("cast(" ~ literal ~ " as " ~ types.get(name, adapter.convert_type(agate_table, loop.index0)) ~ ")") -%}
        {%- endfor -%}
        {%- do rows.append("(" ~ cells | join(", ") ~ ")") -%}
    {%- endfor -%}
    {%- set sql = "insert into " ~ this.render() ~ " values\n" ~ rows | join(",\n") -%}
    {%- if rows -%}
        {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {%- endif -%}
    {{ return(sql) }}
{%- endmacro %}
