{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column='cast(known_from as date)',
    slice_key='invoice_id',
    slice_plan='known_dates:invoices',
    on_schema_change='append_new_columns',
) }}

{{ holdfast.versions('invoices') }}
