{#- The few spellings on which engines differ, each in one place. -#}

{% macro try_cast(expression, data_type) -%}
    {{ adapter.dispatch("try_cast", "holdfast")(expression, data_type) }}
{%- endmacro %}

{% macro default__try_cast(expression, data_type) -%}
    try_cast({{ expression }} as {{ data_type }})
{%- endmacro %}


{% macro add_days(date_expression, days) -%}
    {{ adapter.dispatch("add_days", "holdfast")(date_expression, days) }}
{%- endmacro %}

{% macro default__add_days(date_expression, days) -%}
    ({{ date_expression }} + cast({{ days }} as integer))
{%- endmacro %}


{% macro days_between(from_date, to_date) -%}
    {{ adapter.dispatch("days_between", "holdfast")(from_date, to_date) }}
{%- endmacro %}

{% macro default__days_between(from_date, to_date) -%}
    cast(cast({{ to_date }} as date) - cast({{ from_date }} as date) as integer)
{%- endmacro %}


{% macro divide_integers(numerator, denominator) -%}
    {{ adapter.dispatch("divide_integers", "holdfast")(numerator, denominator) }}
{%- endmacro %}

{% macro default__divide_integers(numerator, denominator) -%}
    div({{ numerator }}, {{ denominator }})
{%- endmacro %}

{% macro duckdb__divide_integers(numerator, denominator) -%}
    {#- `/` is a double in DuckDB, also between integers. -#}
    ({{ numerator }}) // ({{ denominator }})
{%- endmacro %}


{% macro text_of(column, data_type) -%}
    {{ adapter.dispatch("text_of", "holdfast")(column, data_type) }}
{%- endmacro %}

{% macro default__text_of(column, data_type) -%}
    {#- A timestamp as its microseconds since 1970: engines print timestamps each in its own way. -#}
    {%- if data_type == "timestamp" -%}
        cast({{ holdfast.epoch_microseconds(column) }} as {{ dbt.type_string() }})
    {%- elif data_type == "string" -%}
        {{ column }}
    {%- else -%}
        cast({{ column }} as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}


{% macro epoch_microseconds(timestamp) -%}
    {{ adapter.dispatch("epoch_microseconds", "holdfast")(timestamp) }}
{%- endmacro %}

{% macro duckdb__epoch_microseconds(timestamp) -%}
    {#- `extract(epoch)` is a double in DuckDB. -#}
    epoch_us({{ timestamp }})
{%- endmacro %}


{% macro hash_number(md5_text) -%}
    {{ adapter.dispatch("hash_number", "holdfast")(md5_text) }}
{%- endmacro %}

{% macro duckdb__hash_number(md5_text) -%}
    {#- Fifteen hexadecimal digits of an md5 fit a bigint without a sign on every engine. -#}
    cast('0x' || substr({{ md5_text }}, 1, 15) as bigint)
{%- endmacro %}


{% macro words_of(text) -%}
    {{ adapter.dispatch("words_of", "holdfast")(text) }}
{%- endmacro %}

{% macro duckdb__words_of(text) -%}
    {#- One row a word: DuckDB unnests a list in the select list. -#}
    unnest(string_split_regex(lower({{ text }}), '[^a-z]+'))
{%- endmacro %}


{% macro series_of_days(first_day, last_day) -%}
    {{ adapter.dispatch("series_of_days", "holdfast")(first_day, last_day) }}
{%- endmacro %}

{% macro duckdb__series_of_days(first_day, last_day) -%}
    {#- `dbt.date_spine` queries while compiling; a generated series does not. -#}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date) as calendar_date
{%- endmacro %}


{% macro engine_hash(columns) -%}
    {{ adapter.dispatch("engine_hash", "holdfast")(columns) }}
{%- endmacro %}

{% macro duckdb__engine_hash(columns) -%}
    {#- Many times faster than md5 of a text; differs from engine to engine, and so never leaves the warehouse. -#}
    hash({{ columns | join(", ") }})
{%- endmacro %}


{% macro joined_texts(texts) -%}
    {#- Texts that are never null, one after the other, chr(31) between them. -#}
    {{ adapter.dispatch("joined_texts", "holdfast")(texts) }}
{%- endmacro %}

{% macro default__joined_texts(texts) -%}
    {{ texts | join(" || chr(31) || ") }}
{%- endmacro %}

{% macro duckdb__joined_texts(texts) -%}
    {#- Each `||` copies what stands before it: a row of 127 columns took four times as long. -#}
    {%- if texts | length > 1 -%}
        concat_ws(chr(31), {{ texts | join(", ") }})
    {%- else -%}
        {{ texts | join }}
    {%- endif -%}
{%- endmacro %}
