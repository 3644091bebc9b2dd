{% materialization slices, default %}
    {#-
        An incremental model with the strategy `slices` that ends at once where no slice is missing, stale or gone: most nodes
        of most builds. A table that does not stand yet is the engine's own incremental materialization's work (`build_whole`).
    -#}
    {%- if not holdfast.is_slice_build() -%}
        {{ return(holdfast.build_whole()) }}
    {%- endif -%}
    {%- set changed = holdfast.changed_slices(config.get("slice_plan")) -%}
    {%- if changed.missing or changed.gone -%}
        {{ return(adapter.dispatch("build_slices", "holdfast")()) }}
    {%- endif -%}
    {%- call noop_statement("main", "NOTHING TO BUILD") -%} -- no slice is missing, stale or gone {%- endcall -%}
    {{ return({"relations": [this.incorporate(type="table")]}) }}
{% endmaterialization %}


{% macro build_whole() -%}
    {#- Build all slices; where there are parts, first into a temporary table, from which the engine then takes them at once. -#}
    {%- if holdfast.part_count() == 1 -%}
        {{ return(holdfast.incremental_of_engine()) }}
    {%- endif -%}
    {%- set new = make_temp_relation(this).include(database=false, schema=false) -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- if config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
    {%- endif -%}
    {%- do holdfast.create_temporary(new) -%}
    {#- The engine's materialization takes its query and its hooks from here. -#}
    {%- do context.update({"compiled_code": "select * from " ~ new, "pre_hooks": []}) -%}
    {%- set built = holdfast.incremental_of_engine() -%}
    {%- do run_query("drop table " ~ new) -%}
    {{ return(built) }}
{%- endmacro %}


{% macro incremental_of_engine() -%}
    {%- set own = context.get("materialization_incremental_" ~ adapter.type()) or context["materialization_incremental_default"] -%}
    {{ return(own()) }}
{%- endmacro %}


{% macro default__build_slices() -%}
    {{ return(holdfast.incremental_of_engine()) }}
{%- endmacro %}

{% macro duckdb__build_slices() -%}
    {#-
        dbt-duckdb describes the query for the contract, which plans it once more, and asks for the columns of both tables, each
        in a context of macros made for it: of a small build a third. Here the contract is held against what the query made, and
        where both tables have the very columns that the contract names, that is seen by one query.
    -#}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set new = make_temp_relation(target_relation).include(database=false, schema=false) -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- do holdfast.create_temporary(new) -%}
    {%- set columns = holdfast.duckdb_columns(new, target_relation) -%}
    {%- if config.get("contract").enforced and columns.new != holdfast.duckdb_contract() -%}
        {%- do get_assert_columns_equivalent("select * from " ~ new) -%}
    {%- endif -%}
    {%- set dest_columns = columns.quoted if columns.new == columns.standing
        else process_schema_changes(config.get("on_schema_change"), new, target_relation)
        or adapter.get_columns_in_relation(target_relation) -%}
    {%- call statement("main") -%}
        {{ get_incremental_slices_sql({"target_relation": target_relation, "temp_relation": new, "dest_columns": dest_columns}) }}
    {%- endcall -%}
    {%- do apply_grants(target_relation, config.get("grants"), should_revoke=true) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {%- do run_query("drop table " ~ new) -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({"relations": [target_relation]}) }}
{%- endmacro %}


{% macro duckdb_columns(new, standing) -%}
    {#- The columns of a temporary table and of one that stands, `name type` each in lower case and in order of names. -#}
    {%- set listed = "string_agg(lower(column_name || ' ' || data_type), '; ' order by lower(column_name || ' ' || data_type))" -%}
    {%- set names = "string_agg(column_name, '; ' order by column_index)" -%}
    {%- set found = run_query(
        "select " ~ listed ~ " filter (where temporary), " ~ listed ~ " filter (where not temporary), "
        ~ names ~ " filter (where temporary) "
        ~ "from (select columns.*, columns.database_name = 'temp' as temporary from duckdb_columns() as columns) "
        ~ "where (temporary and table_name = '" ~ new.identifier ~ "') "
        ~ "or (database_name = '" ~ standing.database ~ "' and schema_name = '" ~ standing.schema
        ~ "' and table_name = '" ~ standing.identifier ~ "')"
    ).rows[0] -%}
    {%- set quoted = [] -%}
    {%- for name in found[2].split("; ") -%}
        {%- do quoted.append({"quoted": adapter.quote(name)}) -%}
    {%- endfor -%}
    {{ return({"new": found[0], "standing": found[1], "quoted": quoted}) }}
{%- endmacro %}


{% macro duckdb_contract() -%}
    {#- The contract's columns as `duckdb_columns` lists them. -#}
    {%- set listed = [] -%}
    {%- for column in model.columns.values() -%}
        {%- set type = column.data_type | lower | replace(" ", "") -%}
        {%- do listed.append(column.name | lower ~ " " ~ ("varchar" if type in ["string", "text"] else type)) -%}
    {%- endfor -%}
    {{ return(listed | sort | join("; ")) }}
{%- endmacro %}
