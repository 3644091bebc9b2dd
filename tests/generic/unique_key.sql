{% test unique_key(model, columns) %}
    {#-
        A returned row is a key that stands more than once, or has a null where its column may not be null. Equal keys have
        equal hashes, and to count hashes takes half as long: only keys whose hash stands twice are counted themselves.
    -#}
    select
        {{ columns | join(", ") }},
        count(*) as row_count
    from {{ model }}
    where {{ columns[0] }} is null
        or {{ holdfast.engine_hash(columns) }} in (
            select {{ holdfast.engine_hash(columns) }}
            from {{ model }}
            group by {{ holdfast.engine_hash(columns) }}
            having count(*) > 1
        )
    group by {{ columns | join(", ") }}
    having count(*) > 1 or {{ columns[0] }} is null
{% endtest %}
