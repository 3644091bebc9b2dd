-- Gold and the marts hold integers, decimals, dates, booleans and text, so that the same rows are
-- the same on every engine. A returned row is a column whose type in the warehouse is a floating
-- one.
{%- set relations = [
    ref("gold_as_of_dates"), ref("gold_observations"), ref("gold_customer_360"),
    ref("gold_churn_labels"), ref("gold_fingerprints"), ref("gold_training_set"),
    ref("marts_customer_risk"), ref("marts_retention_worklist"), ref("marts_revenue_at_risk"),
    ref("marts_model_performance"), ref("marts_cohort_retention"),
] -%}
{%- set floating_types = ["real", "float", "double", "double precision"] -%}
{%- for family in holdfast.feature_families() -%}
    {%- do relations.append(ref("gold_features_" ~ family)) -%}
{%- endfor %}

with floating as (
    {% for relation in relations if execute -%}
    {%- for column in adapter.get_columns_in_relation(relation)
        if column.dtype | lower in floating_types %}
    select
        '{{ relation.schema }}.{{ relation.identifier }}' as relation,
        '{{ column.name }}' as column_name,
        '{{ column.dtype }}' as data_type
    union all
    {%- endfor -%}
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as relation,
        cast(null as {{ dbt.type_string() }}) as column_name,
        cast(null as {{ dbt.type_string() }}) as data_type

)

select
    relation,
    column_name,
    data_type
from floating
where relation is not null
