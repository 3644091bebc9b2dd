{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="'invoices'",
    slice_plan='whole:invoices',
    on_schema_change='append_new_columns',
) }}

{{ holdfast.versions('invoices') }}
