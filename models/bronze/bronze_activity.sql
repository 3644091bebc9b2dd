{{ holdfast.bronze_rows('activity') }}
