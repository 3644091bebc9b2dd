{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="'subscriptions'",
    slice_plan='whole:subscriptions',
    on_schema_change='append_new_columns',
) }}

{{ holdfast.versions('subscriptions') }}
