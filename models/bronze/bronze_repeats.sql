{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="entity",
    slice_plan='inputs',
    on_schema_change='append_new_columns',
) }}

{% set missing = holdfast.missing_slices('inputs') -%}
with slices as (

    select * from {{ holdfast.slices_to_build('inputs', missing) }} as to_build

)

{% for entity in holdfast.entities_in(missing) -%}
{{ holdfast.repeated_rows(entity) }}
{{ 'union all' if not loop.last }}
{% endfor %}
