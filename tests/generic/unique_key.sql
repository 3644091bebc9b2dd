{% test unique_key(model, columns) %}
    {#- A returned row is a key that stands more than once, or has a null where its column may not be null. -#}
    {{ holdfast.broken_keys(model, columns) }}
{% endtest %}
