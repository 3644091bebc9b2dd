{#- Arithmetic without floating point, and fingerprints that do not depend on the order of rows. -#}

{% macro ratio(numerator, denominator) -%}
    {#-
        numerator / denominator as decimal(18,6), rounded half away from zero; null where the denominator is 0 or null.
        Both may be integers or decimals of up to two places: they are counted in hundredths, so every step is exact.
    -#}
    {%- set n = "cast(cast(" ~ numerator ~ " as decimal(20, 2)) * 100 as decimal(22, 0))" -%}
    {%- set d = "cast(cast(" ~ denominator ~ " as decimal(20, 2)) * 100 as decimal(22, 0))" -%}
    {{ adapter.dispatch("ratio", "holdfast")(n, d) }}
{%- endmacro %}

{% macro duckdb__ratio(n, d) -%}
    {#- DuckDB divides decimals as doubles, so the division is done on 128-bit integers. -#}
    case
        when {{ d }} != 0
            then cast(
                cast(
                    sign({{ n }}) * sign({{ d }})
                    * ((abs(cast({{ n }} as hugeint)) * 2000000 + abs(cast({{ d }} as hugeint))) // (2 * abs(cast({{ d }} as hugeint))))
                    as decimal(24, 0)
                ) * cast(0.000001 as decimal(7, 6)) as decimal(18, 6)
            )
    end
{%- endmacro %}

{% macro postgres__ratio(n, d) -%}
    {#-
        PostgreSQL rounds a quotient of numerics to some sixteen digits; `div` gives the whole part of it, exactly. The cast
        stands outside, since a `case` without `else` has no scale.
    -#}
    cast(
        case
            when {{ d }} != 0
                then sign({{ n }}) * sign({{ d }}) * div(abs({{ n }}) * 2000000 + abs({{ d }}), 2 * abs({{ d }})) * 0.000001
        end as decimal(18, 6)
    )
{%- endmacro %}

{% macro spark__ratio(n, d) -%}
    {#- Spark rounds the quotient of wide decimals to the places that are left of 38, and `sign` is a double: so `div` on whole numbers. -#}
    case
        when {{ d }} != 0
            then cast(
                case when ({{ n }} < 0) != ({{ d }} < 0) then -1 else 1 end
                * ((abs({{ n }}) * 2000000 + abs({{ d }})) div (2 * abs({{ d }})))
                * cast(0.000001 as decimal(7, 6)) as decimal(18, 6)
            )
    end
{%- endmacro %}


{% macro row_text(columns) -%}
    {#- The row as one text; `columns` is a list of {name, data_type}. Null and the empty text stay apart. -#}
    {%- set texts = [] -%}
    {%- for column in columns -%}
        {%- do texts.append("coalesce(" ~ holdfast.text_of(column.name, column.data_type) ~ ", chr(30))") -%}
    {%- endfor -%}
    {{ holdfast.joined_texts(texts) }}
{%- endmacro %}


{% macro fingerprint(columns) -%}
    {#- An aggregate: equal for equal sets of rows in any order. Repeats count. -#}
    {{ holdfast.fingerprint_of("count(*)", "coalesce(sum(" ~ holdfast.hash_number("md5(" ~ holdfast.row_text(columns) ~ ")") ~ "), 0)") }}
{%- endmacro %}


{% macro fingerprint_of(row_count, hash_sum) -%}
    md5(cast({{ row_count }} as {{ dbt.type_string() }}) || '-' || cast({{ hash_sum }} as {{ dbt.type_string() }}))
{%- endmacro %}


{% macro model_columns(name) -%}
    {#- {name, data_type} of every cell that a model's contract names; `built_from` is memory, not a cell. -#}
    {%- if not execute -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for column in graph.nodes["model.holdfast." ~ name].columns.values() if column.name != "built_from" -%}
        {%- do columns.append({"name": "cells." ~ column.name, "data_type": column.data_type}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{% macro log_fingerprints() -%}
    {#-
        Run as an operation: says the row count and the fingerprint of every relation of silver and gold, the same on every
        engine for the same rows. What rows were built from is no part of it.
    -#}
    {%- for node in graph.nodes.values() | sort(attribute="unique_id") if node.resource_type == "model" and node.package_name == "holdfast"
        and node.name.split("_")[0] in ["silver", "gold"] -%}
        {%- set found = run_query(
            "select count(*) as row_count, " ~ holdfast.fingerprint(holdfast.model_columns(node.name)) ~ " as fingerprint from "
            ~ api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) ~ " as cells"
        ).rows[0] -%}
        {%- do log("fingerprint " ~ node.schema ~ "." ~ node.alias ~ " " ~ found[0] ~ " " ~ found[1], info=true) -%}
    {%- endfor -%}
{%- endmacro %}
