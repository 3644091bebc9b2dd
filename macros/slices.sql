{#-
    Tables built in slices. A slice is a known day, an as-of date, or all of an entity. Every row
    remembers in `built_from` what its slice was built from: the fingerprint of the arrivals it could see, the code of the
    model and of the models before it, and the settings. A build deletes the slices whose memory no longer agrees with the
    plan, and adds the missing ones; it touches no other. So incremental equals full, whatever the order of arrival.

    Where a row also depends on rows of its key in other slices, the model names its key in `slice_key`: a key with a row on a
    slice that is missing, stale or gone is built again in all its slices, and its old rows go, wherever they lie.
-#}

{% macro code_fingerprint() -%}
    {#- The code a model's rows depend on: its own SQL, that of the silver and gold models before it, macros, seeds, settings. -#}
    {%- if not execute or model.unique_id not in graph.nodes -%}
        {{ return("") }}
    {%- endif -%}
    {%- set shared = holdfast.shared_code_fingerprint() -%}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "code of " ~ model.unique_id ~ " " ~ shared -%}
    {%- if name not in remembered -%}
        {%- set queue = [model.unique_id] -%}
        {%- set parts = [shared] -%}
        {%- for unique_id in queue -%}
            {%- set node = graph.nodes.get(unique_id) -%}
            {%- if node -%}
                {%- do parts.append(unique_id ~ "=" ~ node.checksum.checksum) -%}
                {%- for parent in node.depends_on.nodes if parent not in queue and (
                    parent.startswith("seed.") or parent.startswith("model.holdfast.silver_") or parent.startswith("model.holdfast.gold_")
                ) -%}
                    {%- do queue.append(parent) -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do remembered.update({name: local_md5(parts | sort | join(";"))}) -%}
    {%- endif -%}
    {{ return(remembered[name]) }}
{%- endmacro %}


{% macro shared_code_fingerprint() -%}
    {#- What rows of every model depend on: settings, the contracts of the entities, the shared macros. -#}
    {%- set parts = [] -%}
    {%- for name in [
        "windows", "churn_definition", "inactivity_days", "grace_days", "label_delay_days", "login_actions",
    ] -%}
        {%- do parts.append(name ~ "=" ~ tojson(var(name))) -%}
    {%- endfor -%}
    {#- Audits build with one graph and several settings. -#}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "shared code " ~ parts | join(";") -%}
    {%- if name not in remembered -%}
        {%- for entity in holdfast.entities() -%}
            {%- do parts.append(entity ~ "=" ~ tojson(holdfast.contract(entity))) -%}
        {%- endfor -%}
        {#- dbt's checksum of a model is that of its own file, so the shared macros are rendered once more, on nothing. -#}
        {%- do parts.extend([
            holdfast.ratio("a", "b"), holdfast.row_text([{"name": "a", "data_type": "timestamp"}, {"name": "b", "data_type": "string"}]),
            holdfast.fingerprint_of("a", "b"), holdfast.hash_number("a"), holdfast.divide_integers("a", "b"),
            holdfast.is_visible("a", "b"), holdfast.is_version_at("a", "b"), holdfast.in_window("a", "b", 1),
            holdfast.is_active_subscription("a", "b"), holdfast.subscription_stopped_at("a"), holdfast.label_known_at("a", "b"),
            holdfast.add_days("a", 1), holdfast.days_between("a", "b"), holdfast.epoch_microseconds("a"),
            holdfast.words_of("a"), holdfast.is_login("a"),
        ]) -%}
        {%- do remembered.update({name: local_md5(parts | sort | join(";"))}) -%}
    {%- endif -%}
    {{ return(remembered[name]) }}
{%- endmacro %}


{% macro slice_plan(plan) -%}
    {#- slice, built_from: what every slice of the model should be built from. -#}
    {%- set code = holdfast.code_fingerprint() -%}
    {%- set kind = plan.split(":")[0] -%}
    {%- set entity = plan.split(":")[1] if ":" in plan else none -%}
    {%- set text = dbt.type_string() -%}
    {%- if kind == "as_of_dates" -%}
        select as_of_date as slice, md5(visible_fingerprint || '{{ code }}') as built_from
        from {{ ref("gold_as_of_dates") }}
    {%- elif kind == "label_dates" -%}
        select as_of_date as slice, md5(label_fingerprint || '{{ code }}') as built_from
        from {{ ref("gold_as_of_dates") }}
    {%- elif kind == "known_dates" -%}
        select known_date as slice, md5(fingerprint || '{{ code }}') as built_from
        from {{ ref("silver_arrivals") }}
        where entity = '{{ entity }}'
    {%- elif kind == "whole" -%}
        select entity as slice, md5({{ holdfast.sum_of_days("fingerprint") }} || '{{ code }}') as built_from
        from {{ ref("silver_arrivals") }}
        where entity = '{{ entity }}'
        group by entity
    {%- elif kind == "deliveries" -%}
        select known_date as slice, md5({{ holdfast.fingerprint_of("row_count", "hash_sum") }} || '{{ code }}') as built_from
        from {{ ref("bronze_deliveries") }}
        where entity = '{{ entity }}'
            and row_count > 0
    {%- elif kind == "raw_days" -%}
        select {{ holdfast.input_day("entity", "known_date") }} as slice, md5(digest || '{{ code }}') as built_from
        from {{ ref("bronze_digests") }}
        where known_date is not null
    {%- elif kind == "input_days" -%}
        select
            {{ holdfast.input_day("digests.entity", "digests.known_date") }} as slice,
            md5(digests.digest || coalesce(cast(repeats.hash_sum as {{ text }}), '') || '{{ code }}') as built_from
        from {{ ref("bronze_digests") }} as digests
        left join (
            select
                entity,
                cast(known_at as date) as known_date,
                -- the first row of a key may change, and make a conflict of a repeat that lies elsewhere
                sum({{ holdfast.hash_number("md5(row_fingerprint || case when is_conflict then '!' else '' end)") }}) as hash_sum
            from {{ ref("bronze_repeats") }}
            where occurrence > 1
            group by entity, cast(known_at as date)
        ) as repeats
            on digests.entity = repeats.entity
            and digests.known_date = repeats.known_date
    {%- elif kind == "rejects" -%}
        select {{ holdfast.input_day("entity", "known_date") }} as slice, md5(built_from || '{{ code }}') as built_from
        from {{ ref("bronze_deliveries") }}
        where reject_count > 0
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "slice_plan is as_of_dates, label_dates, raw_days, input_days, rejects, deliveries:<entity>, known_dates:<entity> "
            ~ "or whole:<entity>; got '" ~ plan ~ "'."
        ) }}
    {%- endif -%}
{%- endmacro %}


{% macro sum_of_days(fingerprint) -%}
    cast(sum({{ holdfast.hash_number("md5(coalesce(cast(known_date as " ~ dbt.type_string() ~ "), '') || " ~ fingerprint ~ ")") }}) as {{ dbt.type_string() }})
{%- endmacro %}


{% macro input_day(entity, known_date) -%}
    {#- One entity's rows of one known day, as a slice; rows that don't say when they were known are a day of their own. -#}
    {{ entity }} || ' ' || coalesce(cast({{ known_date }} as {{ dbt.type_string() }}), '')
{%- endmacro %}


{% macro is_slice_build() -%}
    {#- Whether the model's table stands, so that only some of its slices may have to be built; false in a full refresh. -#}
    {%- if not execute or should_full_refresh() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set relation = adapter.get_relation(this.database, this.schema, this.table) -%}
    {{ return(relation is not none and relation.type == "table") }}
{%- endmacro %}


{% macro changed_slices(plan) -%}
    {#-
        What differs between the plan and what the model's rows remember: {missing, gone}, lists of {slice, built_from}. Missing
        slices have to be built; gone are those whose rows no longer agree with the plan. Asked once for each node: the query
        that builds it, its materialization and its strategy must all speak of the same slices.
    -#}
    {%- set remembered = holdfast.memory() -%}
    {%- set name = "slices of " ~ model.unique_id ~ " in " ~ invocation_id -%}
    {%- if name not in remembered -%}
        {%- set changed = {"missing": [], "gone": []} -%}
        {%- for row in run_query(
            "select cast(coalesce(plan.slice, built.slice) as " ~ dbt.type_string() ~ ") as slice, 'md5 ' || plan.built_from as built_from from ("
            ~ holdfast.slice_plan(plan) ~ ") as plan full outer join (select distinct " ~ config.get("slice_column")
            ~ " as slice, built_from from " ~ this ~ ") as built on plan.slice = built.slice and plan.built_from = built.built_from"
            ~ " where built.slice is null or plan.slice is null order by 1"
        ).rows -%}
            {%- if row[1] -%}
                {%- do changed.missing.append({"slice": row[0] | string, "built_from": row[1][4:]}) -%}
            {%- else -%}
                {%- do changed.gone.append({"slice": row[0] | string, "built_from": none}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do remembered.update({name: changed}) -%}
    {%- endif -%}
    {{ return(remembered[name]) }}
{%- endmacro %}


{% macro missing_slices(plan="as_of_dates", with_gone=false) -%}
    {#-
        The slices that are missing or stale, as a list of {slice, built_from}; none where all have to be built, or more than
        the days of two months in every entity. Named in the query, they let the engine skip what they don't touch, and all of it
        when there are none.
        `with_gone`: those too that are built and no longer planned, which a model with a `slice_key` has to know.
    -#}
    {%- if not execute or not holdfast.is_slice_build() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set changed = holdfast.changed_slices(plan) -%}
    {%- set slices = changed.missing + (changed.gone if with_gone else []) -%}
    {{ return(none if slices | length > 500 else slices | sort(attribute="slice")) }}
{%- endmacro %}


{% macro slices_to_build(plan="as_of_dates", missing=false) -%}
    {#- The slices that are missing or stale, as a subquery of slice and built_from; all of them in a full build. -#}
    {%- set missing = holdfast.missing_slices(plan) if missing is false else missing -%}
    {%- set slice_type = holdfast.slice_type(plan) -%}
    (
        {%- if missing is none %}
        select plan.slice, plan.built_from
        from (
            {{ holdfast.slice_plan(plan) }}
        ) as plan
        {%- if holdfast.is_slice_build() %}
        left join (
            -- a slice is many rows with one memory
            select distinct {{ config.get("slice_column") }} as slice, built_from from {{ this }}
        ) as built
            on plan.slice = built.slice
            and plan.built_from = built.built_from
        where built.slice is null
        {%- endif %}
        {%- else %}
        {%- for slice in missing if slice.built_from is not none %}
        select cast('{{ slice.slice }}' as {{ slice_type }}) as slice, '{{ slice.built_from }}' as built_from
        {{ "union all" if not loop.last }}
        {%- else %}
        select cast(null as {{ slice_type }}) as slice, '' as built_from where false
        {%- endfor %}
        {%- endif %}
    )
{%- endmacro %}


{% macro slice_type(plan) -%}
    {{ return("date" if plan.split(":")[0] in ["as_of_dates", "label_dates", "known_dates", "deliveries"] else dbt.type_string()) }}
{%- endmacro %}


{% macro slices_named(slices, slice_type) -%}
    {#- Named slices as the inside of an `in`. -#}
    {%- for slice in slices -%}
        cast('{{ slice.slice }}' as {{ slice_type }}){{ ", " if not loop.last }}
    {%- else -%}
        cast(null as {{ slice_type }})
    {%- endfor -%}
{%- endmacro %}


{% macro get_incremental_slices_sql(arguments) -%}
    {{ return(adapter.dispatch("incremental_slices", "holdfast")(arguments)) }}
{%- endmacro %}

{% macro default__incremental_slices(arguments) -%}
    {#- The incremental strategy: stale and vanished slices out, new ones in, in one transaction. -#}
    {%- set target = arguments["target_relation"] -%}
    {%- set new = arguments["temp_relation"] -%}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    {%- set slice_column = config.get("slice_column") -%}
    {%- set slice_key = config.get("slice_key") -%}
    {%- set plan = holdfast.slice_plan(config.get("slice_plan")) -%}
    {%- set memory = "select distinct " ~ slice_column ~ " as slice, built_from from " -%}
    {#- Of a key that is built again, the rows of other slices are not new slices. -#}
    {%- set built = run_query(
        "select count(*) from (" ~ memory ~ new ~ (" except " ~ memory ~ target if slice_key else "") ~ ") as built"
    ).columns[0].values()[0] -%}
    {%- set stale_slices = holdfast.changed_slices(config.get("slice_plan")).gone -%}
    {%- set stale = stale_slices | length -%}
    {%- if built > 0 or stale > 0 -%}
        {%- do log(
            this.schema ~ "." ~ this.identifier ~ ": " ~ built ~ " slices built, " ~ stale ~ " stale ones replaced or gone", info=true
        ) -%}
    {%- endif -%}
    {%- set is_stale -%}
        {#- Named, where they are few, the engine does not read the rows of others. -#}
        {%- if stale <= 100 -%}
        {{ slice_column }} in ({{ holdfast.slices_named(stale_slices, holdfast.slice_type(config.get("slice_plan"))) }})
        and {% endif -%}
        not exists (
            select 1 from (
                {{ plan }}
            ) as plan
            where plan.slice = {{ slice_column }}
                and plan.built_from = {{ target }}.built_from
        )
    {%- endset -%}
    {%- if slice_key and (built > 0 or stale > 0) %}
    delete from {{ target }}
    where {{ slice_key }} in (
        select {{ slice_key }} from {{ new }}
        where {{ slice_key }} is not null
        {%- if stale > 0 %}
        union all
        select {{ slice_key }} from {{ target }}
        where {{ slice_key }} is not null
            and {{ is_stale }}
        {%- endif %}
    );
    {%- endif %}
    {%- if stale > 0 %}
    delete from {{ target }}
    where {{ is_stale }};
    {%- endif %}
    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ new }}
{%- endmacro %}


{% macro entities_in(missing) -%}
    {#- The entities that a list of missing slices names; all where it is none. Of an empty list one, to say which columns there are. -#}
    {%- if missing is none -%}
        {{ return(holdfast.entities()) }}
    {%- elif not missing -%}
        {{ return(holdfast.entities()[:1]) }}
    {%- endif -%}
    {%- set named = [] -%}
    {%- for slice in missing if slice.slice.split(" ")[0] not in named -%}
        {%- do named.append(slice.slice.split(" ")[0]) -%}
    {%- endfor -%}
    {{ return(named) }}
{%- endmacro %}


{% macro in_days_of(missing, entity) -%}
    {#- A condition on `known_at`: the days that a list of missing input days names for an entity; empty where it is none. -#}
    {%- if missing is not none -%}
        {%- set days = [] -%}
        {%- for slice in missing if slice.slice.split(" ")[0] == entity -%}
            {%- do days.append(slice.slice.split(" ")[1]) -%}
        {%- endfor -%}
        {%- set dates = days | select | sort -%}
        and (
            {%- if dates %}
            -- the first and the last of them, so that a reader of files can skip what lies outside
            ({{ holdfast.known_between(dates[0], dates[-1]) }}
            and cast(known_at as date) in ({% for date in dates %}cast('{{ date }}' as date){{ ", " if not loop.last }}{% endfor %}))
            {%- else %}
            false
            {%- endif %}
            {%- if "" in days %}
            or known_at is null
            {%- endif %}
        )
    {%- endif -%}
{%- endmacro %}
