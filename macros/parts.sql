{#-
    The largest models in parts of customers. A customer's rows follow from that customer's rows alone, so a table that is built
    part after part is the same table, and needs the memory of one part. How many parts there are follows from the rows
    that are to be built and from DuckDB's memory limit; the other engines know how to spill what such a query holds.
    `observation_bytes` in a model's config is what its query holds for an observation, as measured at 573,000 of them, and a
    part more: whatever else DuckDB does shares the limit.
-#}

{% macro in_part(customer_id) -%}
    {#- A condition that the model puts on its observations and on its largest input: `true` where it is built at once. -#}
    {%- set parts = holdfast.part_count() -%}
    {%- if parts == 1 -%}
        true
    {%- else -%}
        {{ holdfast.engine_hash([customer_id]) }} % {{ parts }}{{ holdfast.parts_named(range(parts)) }}
    {%- endif -%}
{%- endmacro %}


{% macro parts_named(parts) -%}
    {#- The query that dbt compiles names all parts, and so is the whole; `compiled_part` makes one of it. -#}
    {{ return(" in (/* parts */ " ~ parts | join(", ") ~ ")") }}
{%- endmacro %}


{% macro compiled_part(part) -%}
    {{ return(compiled_code | replace(holdfast.parts_named(range(holdfast.part_count())), holdfast.parts_named([part]))) }}
{%- endmacro %}


{% macro part_count() -%}
    {#- In how many parts the model is built; 1 where its query asks for none, and where nothing is built. -#}
    {%- if not execute or model.resource_type != "model" -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "parts of " ~ model.unique_id ~ " in " ~ invocation_id -%}
    {%- if name not in remembered -%}
        {%- do remembered.update({name: adapter.dispatch("count_parts", "holdfast")()}) -%}
    {%- endif -%}
    {{ return(remembered[name]) }}
{%- endmacro %}

{% macro default__count_parts() -%}
    {{ return(1) }}
{%- endmacro %}

{% macro duckdb__count_parts() -%}
    {%- set bytes = config.get("observation_bytes") -%}
    {%- if not bytes or var("customer_parts") -%}
        {{ return(var("customer_parts") if bytes else 1) }}
    {%- endif -%}
    {%- set observations = ref("gold_observations") -%}
    {%- if adapter.get_relation(observations.database, observations.schema, observations.identifier) is none -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set parts = run_query(
        "select ceil(count(*) * " ~ bytes ~ " / parse_formatted_bytes(current_setting('memory_limit'))) from "
        ~ holdfast.observations_to_build() ~ " as to_build"
    ).columns[0].values()[0] -%}
    {{ return([parts | int, 1] | max) }}
{%- endmacro %}


{% macro create_temporary(relation) -%}
    {#- Create a temporary table with all rows that the model's query makes, part after part. -#}
    {%- set parts = holdfast.part_count() -%}
    {%- do run_query("create temporary table " ~ relation ~ " as (" ~ holdfast.compiled_part(0) ~ ")") -%}
    {%- for part in range(1, parts) -%}
        {%- do run_query("insert into " ~ relation ~ " " ~ holdfast.compiled_part(part)) -%}
    {%- endfor -%}
    {%- if parts > 1 -%}
        {%- do log(this.schema ~ "." ~ this.identifier ~ ": built in " ~ parts ~ " parts of customers", info=true) -%}
    {%- endif -%}
{%- endmacro %}
