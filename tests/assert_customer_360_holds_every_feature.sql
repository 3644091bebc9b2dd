-- The contract of customer_360 names every feature of every family, once and with the same type,
-- and no other column but those of the observation. A returned row is a column on which the
-- contracts differ. Mended by `python -m ml.gold_contract`.
{%- set findings = [] -%}
{%- if execute -%}
    {%- set found = graph.nodes["model.holdfast.gold_customer_360"].columns -%}
    {%- set named = [
        "customer_id", "as_of_date", "cohort", "observation_days", "horizon_days", "value_tier",
        "monthly_revenue", "sample_weight", "built_from",
    ] -%}
    {%- for family in holdfast.feature_families() -%}
        {%- set columns = graph.nodes["model.holdfast.gold_features_" ~ family].columns -%}
        {%- for column in columns.values() if column.meta.family -%}
            {%- if column.name in named -%}
                {%- do findings.append((column.name, "named twice")) -%}
            {%- elif column.name not in found -%}
                {%- do findings.append((column.name, "missing in customer_360")) -%}
            {%- elif column.data_type != found[column.name].data_type -%}
                {%- do findings.append((
                    column.name,
                    column.data_type ~ ", in customer_360 " ~ found[column.name].data_type
                )) -%}
            {%- endif -%}
            {%- do named.append(column.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name in found if name not in named -%}
        {%- do findings.append((name, "of no family")) -%}
    {%- endfor -%}
{%- endif %}

-- depends_on: {{ ref('gold_customer_360') }}
with findings as (
    {% for name, finding in findings %}
    select
        '{{ name }}' as column_name,
        '{{ finding }}' as finding
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as column_name,
        cast(null as {{ dbt.type_string() }}) as finding

)

select
    column_name,
    finding
from findings
where column_name is not null
