{#-
    Tables built in slices. A slice is a known day of a ledger, an as-of date of gold, or a whole table. Every row
    remembers in `built_from` what its slice was built from: the fingerprint of the arrivals it could see, the code of the
    model and of the models before it, and the settings. A build deletes the slices whose memory no longer agrees with the
    plan, and adds the missing ones; it touches no other. So incremental equals full, whatever the order of arrival.
-#}

{% macro code_fingerprint() -%}
    {#- The code a model's rows depend on: its own SQL, that of the silver and gold models before it, macros, seeds, settings. -#}
    {%- if not execute or model.unique_id not in graph.nodes -%}
        {{ return("") }}
    {%- endif -%}
    {%- set queue = [model.unique_id] -%}
    {%- set parts = [] -%}
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
    {%- for name in [
        "windows", "churn_definition", "inactivity_days", "grace_days", "label_delay_days", "login_actions",
    ] -%}
        {%- do parts.append(name ~ "=" ~ tojson(var(name))) -%}
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
    {{ return(local_md5(parts | sort | join(";"))) }}
{%- endmacro %}


{% macro slice_plan(plan) -%}
    {#- slice, built_from: what every slice of the model should be built from. -#}
    {%- set code = holdfast.code_fingerprint() -%}
    {%- if plan == "as_of_dates" -%}
        select as_of_date as slice, md5(visible_fingerprint || '{{ code }}') as built_from
        from {{ ref("gold_as_of_dates") }}
    {%- elif plan == "label_dates" -%}
        select as_of_date as slice, md5(label_fingerprint || '{{ code }}') as built_from
        from {{ ref("gold_as_of_dates") }}
    {%- elif plan.startswith("known_dates:") -%}
        select known_date as slice, md5(fingerprint || '{{ code }}') as built_from
        from {{ ref("silver_arrivals") }}
        where entity = '{{ plan.split(":")[1] }}'
    {%- elif plan.startswith("whole:") -%}
        select '{{ plan.split(":")[1] }}' as slice, md5(cast(coalesce(sum({{ holdfast.hash_number("md5(cast(known_date as " ~ dbt.type_string() ~ ") || fingerprint)") }}), 0) as {{ dbt.type_string() }}) || '{{ code }}') as built_from
        from {{ ref("silver_arrivals") }}
        where entity = '{{ plan.split(":")[1] }}'
    {%- elif plan.startswith("deliveries:") -%}
        select known_date as slice, {{ holdfast.fingerprint_of("row_count", "hash_sum") }} as built_from
        from {{ ref("bronze_deliveries") }}
        where entity = '{{ plan.split(":")[1] }}'
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "slice_plan is as_of_dates, label_dates, known_dates:<entity>, deliveries:<entity> or whole:<entity>; got '" ~ plan ~ "'."
        ) }}
    {%- endif -%}
{%- endmacro %}


{% macro slices_to_build(plan="as_of_dates") -%}
    {#- The slices that are missing or stale, as a subquery of slice and built_from; all of them in a full build. -#}
    (
        select plan.slice, plan.built_from
        from (
            {{ holdfast.slice_plan(plan) }}
        ) as plan
        {%- if is_incremental() %}
        left join (
            -- a slice is many rows with one memory
            select distinct {{ config.get("slice_column") }} as slice, built_from from {{ this }}
        ) as built
            on plan.slice = built.slice
            and plan.built_from = built.built_from
        where built.slice is null
        {%- endif %}
    )
{%- endmacro %}


{% macro get_incremental_slices_sql(arguments) -%}
    {#- The incremental strategy: stale and vanished slices out, new ones in, in one transaction. -#}
    {%- set target = arguments["target_relation"] -%}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    {%- set slice_column = config.get("slice_column") -%}
    {%- set built = run_query("select count(distinct " ~ slice_column ~ ") from " ~ arguments["temp_relation"]).columns[0].values()[0] -%}
    {%- if built > 0 -%}
        {%- do log(this.schema ~ "." ~ this.identifier ~ ": " ~ built ~ " slices (" ~ slice_column ~ ") to build", info=true) -%}
    {%- endif -%}
    delete from {{ target }}
    where not exists (
        select 1 from (
            {{ holdfast.slice_plan(config.get("slice_plan")) }}
        ) as plan
        where plan.slice = {{ slice_column }}
            and plan.built_from = {{ target }}.built_from
    );
    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ arguments["temp_relation"] }}
{%- endmacro %}
