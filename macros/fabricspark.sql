{#- Fabric is Spark, but dbt-fabricspark does not name dbt-spark as its parent, so that no `spark__` macro is found for it. -#}

{% macro fabricspark__divide_integers(numerator, denominator) -%}
    {{ return(holdfast.spark__divide_integers(numerator, denominator)) }}
{%- endmacro %}

{% macro fabricspark__engine_hash(columns) -%}
    {{ return(holdfast.spark__engine_hash(columns)) }}
{%- endmacro %}

{% macro fabricspark__entities_with_raw_rows() -%}
    {{ return(holdfast.spark__entities_with_raw_rows()) }}
{%- endmacro %}

{% macro fabricspark__epoch_microseconds(timestamp) -%}
    {{ return(holdfast.spark__epoch_microseconds(timestamp)) }}
{%- endmacro %}

{% macro fabricspark__hash_number(md5_text) -%}
    {{ return(holdfast.spark__hash_number(md5_text)) }}
{%- endmacro %}

{% macro fabricspark__incremental_slices(arguments) -%}
    {{ return(holdfast.spark__incremental_slices(arguments)) }}
{%- endmacro %}

{% macro fabricspark__joined_texts(texts) -%}
    {{ return(holdfast.spark__joined_texts(texts)) }}
{%- endmacro %}

{% macro fabricspark__ml_table_partition(table) -%}
    {{ return(holdfast.spark__ml_table_partition(table)) }}
{%- endmacro %}

{% macro fabricspark__ml_tables_there() -%}
    {{ return(holdfast.spark__ml_tables_there()) }}
{%- endmacro %}

{% macro fabricspark__ratio(n, d) -%}
    {{ return(holdfast.spark__ratio(n, d)) }}
{%- endmacro %}

{% macro fabricspark__raw_columns(files) -%}
    {{ return(holdfast.spark__raw_columns(files)) }}
{%- endmacro %}

{% macro fabricspark__raw_files(entity) -%}
    {{ return(holdfast.spark__raw_files(entity)) }}
{%- endmacro %}

{% macro fabricspark__seed_rows(model, agate_table) -%}
    {{ return(holdfast.spark__seed_rows(model, agate_table)) }}
{%- endmacro %}

{% macro fabricspark__series_of_days(first_day, last_day) -%}
    {{ return(holdfast.spark__series_of_days(first_day, last_day)) }}
{%- endmacro %}

{% macro fabricspark__try_cast(expression, data_type) -%}
    {{ return(holdfast.spark__try_cast(expression, data_type)) }}
{%- endmacro %}

{% macro fabricspark__words_of(text) -%}
    {{ return(holdfast.spark__words_of(text)) }}
{%- endmacro %}
