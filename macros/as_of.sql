{#- The as-of predicates. A model that spells one by hand is a defect. -#}

{% macro is_visible(known, as_of_date) -%}
    {#- A row is visible at D when it was known before D. `known` is a timestamp, or its date: D is a midnight. -#}
    {{ known }} < {{ as_of_date }}
{%- endmacro %}


{% macro is_version_at(versions, as_of_date) -%}
    {#- Of all versions visible at D, the newest: known before D, and its successor not. -#}
    {{ holdfast.is_visible(versions ~ ".known_from", as_of_date) }}
    and ({{ versions }}.known_to is null or not {{ holdfast.is_visible(versions ~ ".known_to", as_of_date) }})
{%- endmacro %}


{% macro in_window(event, as_of_date, days) -%}
    {#- Event time in [D - days, D). `event` is a timestamp, or its date. -#}
    {{ event }} >= {{ holdfast.add_days(as_of_date, "-(" ~ days ~ ")") }} and {{ event }} < {{ as_of_date }}
{%- endmacro %}


{% macro is_active_subscription(subscriptions, as_of_date) -%}
    {#- Started and neither cancelled nor ended before D, as that version says. -#}
    {{ subscriptions }}.started_at < {{ as_of_date }}
    and ({{ subscriptions }}.cancelled_at is null or {{ subscriptions }}.cancelled_at >= {{ as_of_date }})
    and ({{ subscriptions }}.ended_at is null or {{ subscriptions }}.ended_at >= {{ as_of_date }})
{%- endmacro %}


{% macro subscription_stopped_at(subscriptions) -%}
    {#- The day of notice; the end where nobody gave notice. -#}
    coalesce({{ subscriptions }}.cancelled_at, {{ subscriptions }}.ended_at)
{%- endmacro %}


{% macro label_known_at(as_of_date, horizon_days) -%}
    {#- The grace is for a return to a subscription; churn by inactivity has none. -#}
    {%- set grace_days = var("grace_days") if var("churn_definition") == "subscription" else 0 -%}
    {{ holdfast.add_days(as_of_date, horizon_days ~ " + " ~ (grace_days + var("label_delay_days"))) }}
{%- endmacro %}


{% macro windows() -%}
    {#- The windows of features, as {suffix, days}: `_30d` and so on, and `_obs`, the cohort's own. -#}
    {%- set windows = [] -%}
    {%- for days in var("windows") -%}
        {%- do windows.append({"suffix": days ~ "d", "days": days}) -%}
    {%- endfor -%}
    {%- do windows.append({"suffix": "obs", "days": "observations.observation_days"}) -%}
    {{ return(windows) }}
{%- endmacro %}


{% macro observations_to_build(plan="as_of_dates", missing=false) -%}
    {#- The observations of the as-of dates that this model has to build, with the model's own `built_from`. -#}
    (
        select
            observations.customer_id,
            observations.as_of_date,
            observations.tenure_days,
            observations.observation_days,
            observations.horizon_days,
            slices.built_from
        from {{ ref("gold_observations") }} as observations
        inner join {{ holdfast.slices_to_build(plan, missing) }} as slices
            on observations.as_of_date = slices.slice
    )
{%- endmacro %}


{% macro within_reach(event, missing, days) -%}
    {#-
        Leaves out what none of the named as-of dates can reach; it only saves work. Named dates, not a subquery for the
        first and the last: an optimizer takes that for a filter that leaves next to nothing, and joins the wrong way round.
    -#}
    {%- if missing is none -%}
        true
    {%- elif not missing -%}
        false
    {%- else -%}
        {{ event }} >= {{ holdfast.add_days("cast('" ~ missing[0].slice ~ "' as date)", "-(" ~ days ~ ")") }}
        and {{ event }} < cast('{{ missing[-1].slice }}' as date)
    {%- endif -%}
{%- endmacro %}


{% macro at_dates(as_of_date, missing) -%}
    {#- Leaves out other dates than the named ones before a join; it only saves work. -#}
    {%- if missing is none -%}
        true
    {%- else -%}
        {{ as_of_date }} in ({{ holdfast.slices_named(missing, "date") }})
    {%- endif -%}
{%- endmacro %}
