{{ holdfast.bronze_rows('customers') }}
