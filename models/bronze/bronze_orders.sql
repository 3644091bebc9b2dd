{{ holdfast.bronze_rows('orders') }}
