{#-
    The largest models in parts of customers. A customer's rows follow from that customer's rows alone, so a table that is built
    part after part is the same table, and needs the memory of one part. How many parts there are follows from the rows
    that are to be read and from DuckDB's memory limit; the other engines know how to spill what such a query holds.

    A model that is built so puts `in_part` on its observations and its largest inputs, and says in its config what its query
    holds: `observation_bytes` for an observation that is built, and `input_bytes`, by model, for a row of an input that is read
    whatever is built. Both are rounded up, since DuckDB does other things beside it.
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
    {#- In how many parts the model is built; 1 where its query asks for none, and where a query is compiled and not built. -#}
    {%- if not execute or model.resource_type != "model" or flags.WHICH not in ["build", "run", "retry"] -%}
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
    {%- if not bytes -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set wanted = var("customer_parts") -%}
    {%- if wanted is not none -%}
        {%- if wanted is not integer or wanted < 1 -%}
            {{ exceptions.raise_compiler_error("The var customer_parts wants a whole number from 1 on, or null; got '" ~ wanted ~ "'.") }}
        {%- endif -%}
        {{ return(wanted) }}
    {%- endif -%}
    {%- if holdfast.missing_slices(config.get("slice_plan")) == [] -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set observations = ref("gold_observations") -%}
    {%- if adapter.get_relation(observations.database, observations.schema, observations.identifier) is none -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set held = ["count(*) * " ~ bytes] -%}
    {%- for input, row_bytes in (config.get("input_bytes") or {}).items() -%}
        {%- do held.append("(select count(*) from " ~ ref(input) ~ ") * " ~ row_bytes) -%}
    {%- endfor -%}
    {#- Without a limit DuckDB tells one that it does not read itself. -#}
    {%- set parts = run_query(
        "select coalesce(ceil(greatest(" ~ held | join(", ") ~ ") / try(parse_formatted_bytes(current_setting('memory_limit')))), 1) from "
        ~ holdfast.observations_to_build() ~ " as to_build"
    ).columns[0].values()[0] -%}
    {{ return([parts | int, 1] | max) }}
{%- endmacro %}


{% macro create_temporary(relation) -%}
    {#- Create a temporary table with all rows that the model's query makes, part after part. -#}
    {%- set parts = holdfast.part_count() -%}
    {%- if parts > 1 and holdfast.compiled_part(0) == compiled_code -%}
        {{ exceptions.raise_compiler_error(model.name ~ " has observation_bytes in its config, and no in_part in its query.") }}
    {%- endif -%}
    {%- do run_query("create temporary table " ~ relation ~ " as (" ~ holdfast.compiled_part(0) ~ ")") -%}
    {%- for part in range(1, parts) -%}
        {%- do run_query("insert into " ~ relation ~ " " ~ holdfast.compiled_part(part)) -%}
    {%- endfor -%}
    {%- if parts > 1 -%}
        {%- do log(this.schema ~ "." ~ this.identifier ~ ": built in " ~ parts ~ " parts of customers", info=true) -%}
    {%- endif -%}
{%- endmacro %}
