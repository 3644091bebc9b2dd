{{ holdfast.bronze_rows('touches') }}
