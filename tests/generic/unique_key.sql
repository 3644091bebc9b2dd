{% test unique_key(model, columns) %}
    {#- A returned row is a key that stands more than once, or has a null where its column may not be null. -#}
    select
        {{ columns | join(", ") }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1 or {{ columns[0] }} is null
{% endtest %}
