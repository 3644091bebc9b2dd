{{ config(
    materialized='incremental',
    incremental_strategy='slices',
    slice_column="'touches'",
    slice_plan='whole:touches',
    on_schema_change='append_new_columns',
) }}

{{ holdfast.versions('touches') }}
