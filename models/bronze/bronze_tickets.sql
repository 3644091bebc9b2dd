{{ holdfast.bronze_rows('tickets') }}
