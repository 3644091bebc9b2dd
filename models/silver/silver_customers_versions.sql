{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="'customers'",
    slice_plan='whole:customers',
    on_schema_change='append_new_columns',
) }}

{{ holdfast.versions('customers') }}
