{% test keeps_contract(model, columns) %}
    {#-
        A returned row breaks what the relation's YAML says of it: its key (`columns`) stands more than once or is null, or a value
        lies beyond what the meta of its column allows. One test a relation, because each query costs more than it tells.
    -#}
    {{ holdfast.broken_keys(model, columns) }}
    union all
    select
        {{ columns | join(", ") }},
        'value beyond its limits' as broken
    from {{ model }}
    where {{ holdfast.is_beyond_limits(model) }}
{% endtest %}
