{{ holdfast.bronze_rows('subscriptions') }}
