{#-
    The strategy `slices` on Spark, where rows of a table of Parquet files can't be deleted. What an incremental build leaves
    is what it leaves elsewhere; how it gets there depends on the table:

    - partitioned by its slice (as-of dates, or what `partition_by` names): new slices overwrite their partitions, and
      partitions that are gone are dropped;
    - any other: a new table is written beside, of the rows that stay and the new ones, and takes the place of the old one.
      It reads the table once, as every build reads all raw rows once for `bronze_digests`. A partition a known day would spare
      that, and cost a folder, a file and an entry in the catalogue for each day of history: 300 of them took 15 s to write and
      four times as long to read as one file.
    - in a format that deletes rows (delta, iceberg, hudi): deleted and inserted, as elsewhere.

    Spark has no transactions. After a crash a slice may be absent, or one that is gone still there; every row remembers what
    it was built from, so that the next build repairs both.
-#}

{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) -%}
    {#- dbt-spark takes only the strategies that it knows; for models of this package its macro is found here first. -#}
    {%- if raw_strategy == "slices" -%}
        {{ return(raw_strategy) }}
    {%- endif -%}
    {{ return(dbt.dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format)) }}
{%- endmacro %}


{% macro dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) -%}
    {#- As above. -#}
    {%- if strategy == "slices" -%}
        {{ holdfast.spark_slices_sql(source, target) }}
    {%- else -%}
        {{ dbt.dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) }}
    {%- endif -%}
{%- endmacro %}


{% macro partition_cols(label, required=false) -%}
    {#- As above: a table in slices is partitioned as `slice_partition` says, without a word in its model. -#}
    {%- set column = holdfast.slice_partition() -%}
    {%- if column -%}
        {{ label }} ({{ column }})
    {%- else -%}
        {{ dbt.partition_cols(label, required) }}
    {%- endif -%}
{%- endmacro %}


{% macro slice_partition() -%}
    {#- The column that a table in slices is partitioned by, or none. As-of dates are few, and each is large. -#}
    {%- if config.get("incremental_strategy") != "slices" or config.get("materialized") not in ["slices", "incremental"]
        or holdfast.rows_can_be_deleted() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set slice_column = config.get("slice_column") -%}
    {%- if config.get("slice_plan") in ["as_of_dates", "label_dates"] or config.get("partition_by") in [slice_column, [slice_column]] -%}
        {{ return(slice_column) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{% macro rows_can_be_deleted() -%}
    {#- Whether the model's table is of a format whose rows can be deleted; Databricks and Fabric make one of those by default. -#}
    {%- set file_format = config.get("file_format") or ("parquet" if target.type == "spark" else "delta") -%}
    {{ return(file_format in ["delta", "iceberg", "hudi"]) }}
{%- endmacro %}


{% macro spark__incremental_slices(arguments) -%}
    {#- For adapters that find a strategy by its name, as dbt-databricks does. -#}
    {{ return(holdfast.spark_slices_sql(arguments["temp_relation"], arguments["target_relation"])) }}
{%- endmacro %}


{% macro spark_slices_sql(new, target) -%}
    {#- Does all but the last statement, which it returns. -#}
    {%- set slice_type = holdfast.slice_type(config.get("slice_plan")) -%}
    {%- set plan = "(" ~ holdfast.slice_plan(config.get("slice_plan")) ~ ")" -%}
    {#- The rows with their slice and key beside them: in a join the names that these are made of would be ambiguous. -#}
    {%- set sliced = "select *, " ~ config.get("slice_column") ~ " as row_slice, "
        ~ (config.get("slice_key") or "null") ~ " as row_key from " -%}
    {%- set memory = "select distinct " ~ config.get("slice_column") ~ " as slice, built_from from " -%}
    {%- set agrees = "on plan.slice = row_slice and plan.built_from = sliced.built_from" -%}
    {%- set changed = holdfast.changed_slices(config.get("slice_plan")) -%}
    {%- if not changed.missing and not changed.gone -%}
        {{ return("select 'nothing to build' as done") }}
    {%- endif -%}
    {%- set stale = changed.gone -%}
    {%- set staged = target.incorporate(path={"identifier": target.identifier ~ "__dbt_new"}) -%}
    {%- do run_query("drop table if exists " ~ staged) -%}
    {#- A table can't be overwritten while it is read, and a model reads its own table for what is built. -#}
    {%- do run_query("create table " ~ staged ~ " as select * from " ~ new) -%}
    {%- set built = run_query(
        "select count(*) from (" ~ memory ~ staged ~ (" except " ~ memory ~ target if config.get("slice_key") else "") ~ ") as built"
    ).columns[0].values()[0] -%}
    {%- if built > 0 or stale -%}
        {%- do log(
            this.schema ~ "." ~ this.identifier ~ ": " ~ built ~ " slices built, " ~ stale | length ~ " stale ones replaced or gone", info=true
        ) -%}
        {%- set columns = adapter.get_columns_in_relation(target) | map(attribute="quoted") | join(", ") -%}
        {%- if holdfast.rows_can_be_deleted() -%}
            {%- do holdfast.spark_delete_and_insert(staged, target, columns, stale, slice_type) -%}
        {%- elif holdfast.slice_partition() -%}
            {%- do holdfast.spark_overwrite_partitions(staged, target, columns, stale) -%}
        {%- else -%}
            {%- do holdfast.spark_write_anew(staged, target, columns, plan, sliced, agrees) -%}
        {%- endif -%}
    {%- endif -%}
    drop table if exists {{ staged }}
{%- endmacro %}


{% macro spark_overwrite_partitions(staged, target, columns, stale) -%}
    {%- set slice_column = config.get("slice_column") -%}
    {#- Else Spark takes an overwrite of some partitions for one of all. -#}
    {%- do run_query("set spark.sql.sources.partitionOverwriteMode = dynamic") -%}
    {%- do run_query(
        "insert overwrite table " ~ target ~ " partition (" ~ slice_column ~ ") (" ~ columns ~ ") select " ~ columns ~ " from " ~ staged
    ) -%}
    {%- if stale -%}
        {%- set replaced = run_query("select distinct cast(" ~ slice_column ~ " as string) from " ~ staged).columns[0].values() -%}
        {%- set gone = [] -%}
        {%- for slice in stale if slice.slice not in replaced -%}
            {%- do gone.append("partition (" ~ slice_column ~ " = '" ~ slice.slice ~ "')") -%}
        {%- endfor -%}
        {%- if gone -%}
            {%- do run_query("alter table " ~ target ~ " drop if exists " ~ gone | join(", ")) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro spark_write_anew(staged, target, columns, plan, sliced, agrees) -%}
    {%- set anew = target.incorporate(path={"identifier": target.identifier ~ "__dbt_anew"}) -%}
    {%- set old = target.incorporate(path={"identifier": target.identifier ~ "__dbt_old"}) -%}
    {%- do run_query("drop table if exists " ~ anew) -%}
    {%- do run_query("drop table if exists " ~ old) -%}
    {%- set rebuilt -%}
        {%- if config.get("slice_key") %}
        left anti join (
            select row_key as rebuilt_key from ({{ sliced }} {{ staged }}) as sliced
            union all
            select row_key as rebuilt_key from ({{ sliced }} {{ target }}) as sliced
            left anti join {{ plan }} as plan {{ agrees }}
        ) as rebuilt
            on row_key = rebuilt_key
        {%- endif %}
    {%- endset -%}
    {%- do run_query(
        "create table " ~ anew ~ " as select " ~ columns ~ " from (" ~ sliced ~ target ~ ") as sliced left semi join " ~ plan
        ~ " as plan " ~ agrees ~ rebuilt ~ " union all select " ~ columns ~ " from " ~ staged
    ) -%}
    {#- Two renames, the shortest time without the table that Spark allows; a build that finds none builds all of it. -#}
    {%- do run_query("alter table " ~ target ~ " rename to " ~ old) -%}
    {%- do run_query("alter table " ~ anew ~ " rename to " ~ target) -%}
    {%- do run_query("drop table " ~ old) -%}
{%- endmacro %}


{% macro spark_delete_and_insert(staged, target, columns, stale, slice_type) -%}
    {%- set is_stale = config.get("slice_column") ~ " in (" ~ holdfast.slices_named(stale, slice_type) ~ ")" -%}
    {%- if config.get("slice_key") -%}
        {%- set keys = target.incorporate(path={"identifier": target.identifier ~ "__dbt_keys"}) -%}
        {%- set key = config.get("slice_key") -%}
        {%- do run_query("drop table if exists " ~ keys) -%}
        {%- do run_query(
            "create table " ~ keys ~ " as select " ~ key ~ " as rebuilt_key from " ~ staged ~ " union all select " ~ key ~ " from " ~ target
            ~ " where " ~ is_stale
        ) -%}
        {#- A merge, for Delta takes no subquery in the condition of a delete. -#}
        {%- do run_query(
            "merge into " ~ target ~ " as standing using (select distinct rebuilt_key from " ~ keys ~ ") as rebuilt on "
            ~ "rebuilt.rebuilt_key = " ~ key ~ " when matched then delete"
        ) -%}
        {%- do run_query("drop table " ~ keys) -%}
    {%- endif -%}
    {%- if stale -%}
        {%- do run_query("delete from " ~ target ~ " where " ~ is_stale) -%}
    {%- endif -%}
    {%- do run_query("insert into " ~ target ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ staged) -%}
{%- endmacro %}
