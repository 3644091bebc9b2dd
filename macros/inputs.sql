{#- How raw rows get in: from files under `raw_path`, or from models named under `inputs`. -#}

{% macro map_input(entity, relation, columns) -%}
    {#-
        The body of a user's mapping model: the contract's select list over `relation`.

        columns: contract column -> SQL expression over `relation`. What is not named becomes a typed null (or the
        contract's default). A value that cannot be read as the contract's type makes the row a reject, never an error.
        Without `known_at`, the entity needs `known_at_delay_days`: then it is the main event's time plus that delay.
        Fails on a name that the contract does not know and on a missing required one.
    -#}
    {%- set types = {} -%}
    {{ holdfast.mapped_rows(entity, relation, columns, types, "the mapping of '" ~ entity ~ "'") }}
{%- endmacro %}


{% macro mapped_rows(entity, relation, columns, types, origin) -%}
    {#- `types`: contract column -> its type where that is known to be right already, so that nothing is cast. -#}
    {%- set contract = holdfast.contract(entity) -%}
    {%- set names = contract.columns | map(attribute="name") | list -%}
    {%- set delay = holdfast.known_at_delay(entity) -%}
    {%- set given = dict(columns) -%}
    {%- if execute -%}
        {%- for name in columns if name not in names -%}
            {{ exceptions.raise_compiler_error(
                origin ~ " has the column '" ~ name ~ "', which the contract does not know. The contract of '" ~ entity
                ~ "' is: " ~ names | join(", ") ~ ". Rename the column or leave it out."
            ) }}
        {%- endfor -%}
        {%- if "known_at" not in given and delay is not none -%}
            {%- set event = contract.columns | selectattr("meta.is_required", "defined")
                | selectattr("data_type", "equalto", "timestamp") | rejectattr("name", "equalto", "known_at") | first -%}
            {%- if event.name in given -%}
                {%- do given.update({"known_at":
                    holdfast.add_days_to_time(holdfast.try_cast(given[event.name], "timestamp"), delay)}) -%}
            {%- endif -%}
        {%- endif -%}
        {%- for column in contract.columns if column.meta.is_required and column.meta.default is not defined
            and column.name not in given -%}
            {{ exceptions.raise_compiler_error(
                origin ~ " lacks the column '" ~ column.name ~ "', which the contract of '" ~ entity ~ "' requires. "
                ~ ("Name it, or give the var known_at_delay_days a number of days for '" ~ entity ~ "'."
                    if column.name == "known_at" else "It has: " ~ columns | join(", ") ~ ".")
            ) }}
        {%- endfor -%}
    {%- endif -%}
    select
    {%- for column in contract.columns %}
        {%- if column.name not in given %}
        cast({{ column.meta.default if column.meta.default is defined else "null" }} as {{ holdfast.type_of(column.data_type) }})
        {%- elif types.get(column.name) == column.data_type %}
        {{ given[column.name] }}
        {%- else %}
        {{ holdfast.try_cast(given[column.name], column.data_type) }}
        {%- endif %} as {{ column.name }},
    {%- endfor %}
        {%- set cast_columns = [] -%}
        {%- for column in contract.columns if column.name in given and types.get(column.name) != column.data_type
            and column.data_type != "string" -%}
            {%- do cast_columns.append(column) -%}
        {%- endfor %}
        {%- if cast_columns %}
        case
            {%- for column in cast_columns %}
            when {{ given[column.name] }} is not null and {{ holdfast.try_cast(given[column.name], column.data_type) }} is null
                then '{{ column.name }}'
            {%- endfor %}
        end as unparseable,
        {%- else %}
        cast(null as {{ dbt.type_string() }}) as unparseable,
        {%- endif %}
        {%- for name in given %}
        {%- if not loop.first %} || '; ' ||{% endif %}
        '{{ name }}=' || coalesce(cast({{ given[name] }} as {{ dbt.type_string() }}), '')
        {%- else %}
        ''
        {%- endfor %} as row_text
    from {{ relation }}
{%- endmacro %}


{% macro known_at_delay(entity) -%}
    {#-
        The declared days between an entity's event and the moment it reached us; none where not declared. A mapping model
        lies in the user's own project, where dbt shows the vars of this package only inside their scope, `holdfast`.
    -#}
    {%- set delays = var("known_at_delay_days", none) or var("holdfast", {}).get("known_at_delay_days") or {} -%}
    {{ return(delays.get(entity)) }}
{%- endmacro %}


{% macro input_rows(entity) -%}
    {#- The rows of one entity as they came, typed where they can be, cut at `known_until`. -#}
    {%- set model_name = var("inputs").get(entity) -%}
    {%- if model_name -%}
        {%- set relation = ref(model_name) -%}
    {%- endif -%}
    {%- if execute and entity == "customers" -%}
        {{ holdfast.check_inputs() }}
    {%- endif -%}
with arrived as (

    {% if not execute -%}
        select cast(null as timestamp) as known_at{% if model_name %} from {{ relation }}{% endif %}
    {%- elif model_name -%}
        {{ holdfast.rows_of_model(entity, relation, model_name) }}
    {%- else -%}
        {{ holdfast.rows_of_files(entity) }}
    {%- endif %}

)

select * from arrived
{% if var("known_until") -%}
where known_at < cast('{{ var("known_until") }}' as timestamp) or known_at is null
{%- endif %}
{%- endmacro %}


{% macro rows_of_model(entity, relation, model_name) -%}
    {%- set names = adapter.get_columns_in_relation(relation) | map(attribute="name") | list -%}
    {%- if "unparseable" in names and "row_text" in names -%}
        select
        {%- for column in holdfast.contract(entity).columns %}
            {{ column.name }},
        {%- endfor %}
            unparseable,
            row_text
        from {{ relation }}
    {%- else -%}
        {%- set columns = {} -%}
        {%- for name in names -%}{%- do columns.update({name: name}) -%}{%- endfor -%}
        {{ holdfast.mapped_rows(entity, relation, columns, {}, "the model '" ~ model_name ~ "'") }}
    {%- endif -%}
{%- endmacro %}


{% macro raw_folder() -%}
    {{ return(var("raw_path") or env_var("HOLDFAST_LOCAL", "local") ~ "/raw") }}
{%- endmacro %}


{% macro raw_files(entity) -%}
    {#- {relation, pattern} of one entity's raw rows, or none: what to read them from, and what to call it in an error. -#}
    {{ return(adapter.dispatch("raw_files", "holdfast")(entity)) }}
{%- endmacro %}

{% macro duckdb__raw_files(entity) -%}
    {%- set base = holdfast.raw_folder() ~ "/" ~ entity -%}
    {%- set counts = [] -%}
    {%- for ending in [".parquet", ".csv", ".csv.gz", "/*.parquet", "/*.csv", "/*.csv.gz"] -%}
        {%- set pattern = (base ~ ending) | replace("'", "''") -%}
        {%- do counts.append("select '" ~ pattern ~ "' as pattern, count(*) as files from glob('" ~ pattern ~ "')") -%}
    {%- endfor -%}
    {#- The entity's own view asks, and so does the check that there are enough of them. -#}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "raw files of " ~ base ~ " in " ~ invocation_id -%}
    {%- if name not in remembered -%}
        {%- do remembered.update({name: run_query(
            "select pattern from (" ~ counts | join(" union all ") ~ ") as places where files > 0 order by pattern"
        ).columns[0].values()}) -%}
    {%- endif -%}
    {%- set pattern = holdfast.one_place(entity, remembered[name]) -%}
    {%- if pattern is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set is_parquet = ".parquet" in pattern -%}
    {%- set options = ", union_by_name = true" ~ ("" if is_parquet else ", all_varchar = true, header = true") -%}
    {{ return({
        "pattern": pattern,
        "relation": ("read_parquet" if is_parquet else "read_csv") ~ "('" ~ pattern | replace("'", "''") ~ "'" ~ options ~ ")",
    }) }}
{%- endmacro %}

{% macro postgres__raw_files(entity) -%}
    {#- A server reads no files of ours: `holdfast load` copies them into tables and leaves their pattern in the comment. -#}
    {%- set found = run_query(
        "select obj_description(pg_class.oid, 'pg_class') from pg_class join pg_namespace on relnamespace = pg_namespace.oid "
        ~ "where nspname = 'raw' and relname = '" ~ entity ~ "'"
    ).rows -%}
    {%- if not found -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return({"pattern": fromjson(found[0][0] or "{}", {}).get("pattern", "raw." ~ entity), "relation": "raw." ~ entity}) }}
{%- endmacro %}

{% macro spark__raw_files(entity) -%}
    {#-
        Spark names files as relations. It joins the columns of several Parquet files by name (`mergeSchema`, in the profile),
        and those of CSV files by place; with `enforceSchema` off, CSV files whose headers differ are an error.
    -#}
    {%- set pattern = holdfast.one_place(entity, holdfast.spark_raw_patterns(entity, holdfast.spark_raw_paths())) -%}
    {%- if pattern is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set format = "parquet" if ".parquet" in pattern else "csv" -%}
    {%- set options = " with (header = 'true', escape = '\"', multiLine = 'true', mode = 'FAILFAST', enforceSchema = 'false')" -%}
    {{ return({
        "pattern": pattern,
        "relation": format ~ ".`" ~ pattern | replace("`", "``") ~ "`" ~ (options if format == "csv" else ""),
    }) }}
{%- endmacro %}


{% macro one_place(entity, patterns) -%}
    {#- The one pattern that files match, or none; that they match several is an error. -#}
    {%- if patterns | length > 1 -%}
        {{ exceptions.raise_compiler_error(
            "Expected one place with the raw rows of '" ~ entity ~ "', found " ~ patterns | join(" and ") ~ ". Remove all but one."
        ) }}
    {%- endif -%}
    {{ return(patterns | first if patterns else none) }}
{%- endmacro %}


{% macro spark_raw_patterns(entity, paths) -%}
    {#- The patterns that some of the paths of raw files match for the entity. -#}
    {%- set folder = holdfast.raw_folder() -%}
    {#- The paths come absolute; the folder may be relative to where dbt was started. -#}
    {%- set root = modules.re.sub("^([.]{1,2}/)+", "", folder) -%}
    {%- set found = [] -%}
    {%- for path in paths -%}
        {%- for file in [".parquet", ".csv", ".csv.gz", "/*.parquet", "/*.csv", "/*.csv.gz"] if folder ~ "/" ~ entity ~ file not in found -%}
            {%- set shape = modules.re.escape((root ~ "/" ~ entity ~ file).lstrip("/")).replace("\\*", "[^/]*") -%}
            {%- if modules.re.search("(^|/|:)" ~ shape ~ "$", path) -%}
                {%- do found.append(folder ~ "/" ~ entity ~ file) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro spark_raw_paths() -%}
    {#-
        Spark lists no files in SQL, and a path that is not there is an error. But the files of a table may be absent, so a
        table over the raw folder lists them, of which only the paths are read. Spark remembers what it has listed: refresh.
    -#}
    {%- set folder = holdfast.raw_folder() -%}
    {%- set listing = "bronze.raw_files_" ~ local_md5(folder)[:8] -%}
    {%- do run_query("create schema if not exists bronze") -%}
    {%- do run_query(
        "create table if not exists " ~ listing ~ " using binaryFile options (recursiveFileLookup 'true', ignoreMissingFiles 'true')"
        ~ " location '" ~ dbt.escape_single_quotes(folder) ~ "'"
    ) -%}
    {%- do run_query("refresh table " ~ listing) -%}
    {{ return(run_query("select path from " ~ listing).columns[0].values() | list) }}
{%- endmacro %}


{% macro raw_columns(files) -%}
    {#- The columns of raw rows, as a list of {name, data_type}; types in the words of the contract and of DuckDB. -#}
    {{ return(adapter.dispatch("raw_columns", "holdfast")(files)) }}
{%- endmacro %}

{% macro duckdb__raw_columns(files) -%}
    {%- set columns = [] -%}
    {%- for row in run_query("describe select * from " ~ files.relation).rows -%}
        {%- do columns.append({"name": row[0], "data_type": row[1] | lower}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro postgres__raw_columns(files) -%}
    {#- PostgreSQL spells the same types in words of its own. -#}
    {%- set words = {
        "text": "varchar", "double precision": "double", "real": "float", "timestamp without time zone": "timestamp",
    } -%}
    {%- set columns = [] -%}
    {%- for row in run_query(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = '" ~ files.relation ~ "'::regclass "
        ~ "and attnum > 0 and not attisdropped order by attnum"
    ).rows -%}
        {%- do columns.append({"name": row[0], "data_type": words.get(row[1], row[1] | replace("numeric", "decimal"))}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro spark__raw_columns(files) -%}
    {#-
        A Parquet time without a zone is a type of its own in Spark, and is made the contract's; an empty text between quotes in
        a CSV file is null in DuckDB and not in Spark.
    -#}
    {%- set words = {"string": "varchar", "int": "integer", "timestamp_ntz": "timestamp", "void": '"null"'} -%}
    {%- set columns = [] -%}
    {%- for row in run_query("describe select * from " ~ files.relation).rows -%}
        {%- set expression = row[0] -%}
        {%- if row[1] == "timestamp_ntz" -%}
            {%- set expression = "cast(" ~ row[0] ~ " as timestamp)" -%}
        {%- elif files.relation.startswith("csv.") -%}
            {%- set expression = "nullif(" ~ row[0] ~ ", '')" -%}
        {%- endif -%}
        {%- do columns.append({"name": row[0], "expression": expression, "data_type": words.get(row[1], row[1] | lower)}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{% macro entities_with_raw_rows() -%}
    {{ return(adapter.dispatch("entities_with_raw_rows", "holdfast")()) }}
{%- endmacro %}

{% macro default__entities_with_raw_rows() -%}
    {%- set there = [] -%}
    {%- for entity in holdfast.entities() if holdfast.raw_files(entity) -%}{%- do there.append(entity) -%}{%- endfor -%}
    {{ return(there) }}
{%- endmacro %}

{% macro spark__entities_with_raw_rows() -%}
    {#- One listing for all: a query takes a fifth of a second in Spark, however small. -#}
    {%- set paths = holdfast.spark_raw_paths() -%}
    {%- set there = [] -%}
    {%- for entity in holdfast.entities() if holdfast.spark_raw_patterns(entity, paths) -%}{%- do there.append(entity) -%}{%- endfor -%}
    {{ return(there) }}
{%- endmacro %}


{% macro check_inputs() -%}
    {%- set there = holdfast.entities_with_raw_rows() -%}
    {%- set given = [] -%}
    {%- for entity in holdfast.entities() if var("inputs").get(entity) or entity in there -%}
        {%- do given.append(entity) -%}
    {%- endfor -%}
    {%- for entity in var("inputs") if entity not in holdfast.entities() -%}
        {{ exceptions.raise_compiler_error(
            "The var 'inputs' names the entity '" ~ entity ~ "'; the contract knows " ~ holdfast.entities() | join(", ") ~ "."
        ) }}
    {%- endfor -%}
    {%- if "customers" not in given -%}
        {{ exceptions.raise_compiler_error(
            "No customers: looked for customers.parquet, customers.csv or a folder customers in '" ~ holdfast.raw_folder()
            ~ "'. Put your files there, set the var raw_path, map a model under the var inputs, "
            ~ "or make a demo company with 'holdfast simulate'."
        ) }}
    {%- endif -%}
    {%- if "subscriptions" not in given and "orders" not in given and "activity" not in given -%}
        {{ exceptions.raise_compiler_error(
            "At least one of subscriptions, orders and activity is needed beside customers; found only: "
            ~ given | join(", ") ~ ". Looked in '" ~ holdfast.raw_folder() ~ "' and in the var inputs."
        ) }}
    {%- endif -%}
{%- endmacro %}


{% macro rows_of_files(entity) -%}
    {%- set contract = holdfast.contract(entity) -%}
    {%- set files = holdfast.raw_files(entity) -%}
    {%- if files is none -%}
        select
        {%- for column in contract.columns %}
            cast(null as {{ holdfast.type_of(column.data_type) }}) as {{ column.name }},
        {%- endfor %}
            cast(null as {{ dbt.type_string() }}) as unparseable,
            cast(null as {{ dbt.type_string() }}) as row_text
        where false
    {%- else -%}
        {%- set columns = {} -%}
        {%- set types = {} -%}
        {%- set wanted = {} -%}
        {%- for column in contract.columns -%}{%- do wanted.update({column.name: column.data_type}) -%}{%- endfor -%}
        {%- for column in holdfast.raw_columns(files) -%}
            {%- do columns.update({column.name: column.expression or column.name}) -%}
            {%- set found = column.data_type -%}
            {%- set same = {"varchar": "string"}.get(found, found) | replace(" ", "") -%}
            {%- do types.update({column.name: same}) -%}
            {{ holdfast.check_file_type(entity, files.pattern, column.name, found, wanted.get(column.name)) }}
        {%- endfor -%}
        {{ holdfast.mapped_rows(entity, files.relation, columns, types, "'" ~ files.pattern ~ "'") }}
    {%- endif -%}
{%- endmacro %}


{% macro check_file_type(entity, pattern, name, found, wanted) -%}
    {#- A text may hold any type; a number where a time is wanted is a mistake in the file, not in a row. -#}
    {%- if wanted is not none and found != "varchar" and found != '"null"' -%}
        {%- set numbers = ["tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "float", "double"] -%}
        {%- set is_number = found in numbers or found.startswith("decimal") -%}
        {%- set is_time = found.startswith("timestamp") or found == "date" -%}
        {%- set wants_number = wanted == "integer" or wanted.startswith("decimal") -%}
        {%- if (wanted == "timestamp" and not is_time) or (wants_number and not is_number) or (wanted == "boolean" and found != "boolean") -%}
            {{ exceptions.raise_compiler_error(
                "'" ~ pattern ~ "': the column '" ~ name ~ "' is " ~ found ~ ", and the contract of '" ~ entity ~ "' wants "
                ~ wanted ~ ". Write it as " ~ wanted ~ ", or as text."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro unfold_input(entity, relation, columns) -%}
    {#-
        The body of a user's mapping model over a source that holds only the current state of a lifecycle: one row a key
        with all its times. Each row is unfolded into the versions that an observer would have seen, one at each distinct
        time of an event: columns whose time had not come are null in it. `columns` as in `map_input`, without `known_at`:
        a version is known at its own time, plus `known_at_delay_days` where that is set.
    -#}
    {%- set contract = holdfast.contract(entity) -%}
    {%- set delay = holdfast.known_at_delay(entity) or 0 -%}
    {%- set main_event = (contract.columns | selectattr("meta.is_required", "defined")
        | selectattr("data_type", "equalto", "timestamp") | list | first).name if execute else "known_at" -%}
    {%- set reveals = {} -%}
    {%- for column in contract.columns if column.name in columns -%}
        {%- if column.meta.revealed_by is defined -%}
            {%- do reveals.update({column.name: column.meta.revealed_by}) -%}
        {%- elif column.meta.clock == "event" and column.name != main_event -%}
            {%- do reveals.update({column.name: column.name}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set mapped_columns = dict(columns) -%}
    {%- do mapped_columns.update({"known_at": columns.get(main_event, "null")}) -%}
with mapped as (

    {{ holdfast.mapped_rows(entity, relation, mapped_columns, {}, "the mapping of '" ~ entity ~ "'") }}

),

moments as (

    -- by the whole row, not by its key: two rows of one key have each their own moments
    select row_text, {{ main_event }} as moment from mapped
    {%- for moment in reveals.values() | unique %}
    union distinct
    select row_text, {{ moment }} as moment from mapped where {{ moment }} > {{ main_event }}
    {%- endfor %}

),

unfolded as (

    select
        {%- for column in contract.columns if column.name != "known_at" %}
        {%- if column.name in reveals %}
        case when {{ reveals[column.name] }} <= moments.moment then mapped.{{ column.name }} end as {{ column.name }},
        {%- else %}
        mapped.{{ column.name }},
        {%- endif %}
        {%- endfor %}
        {{ holdfast.add_days_to_time("moments.moment", delay) if delay else "moments.moment" }} as known_at,
        mapped.unparseable,
        mapped.row_text
    from mapped
    left join moments
        on mapped.row_text = moments.row_text

)

select * from unfolded
{%- endmacro %}
