{% test intervals_tile(model, key) %}
    {#- A returned row is a version whose end is not the next one's start, that ends before it starts, or a key without exactly one open version. -#}
    with versions as (

        select
            {{ key }} as record_key,
            known_from,
            known_to,
            lead(known_from) over (partition by {{ key }} order by known_from asc nulls last, known_to asc nulls last) as next_known_from
        from {{ model }}

    )

    select
        record_key,
        known_from,
        known_to
    from versions
    where known_to is distinct from next_known_from
        or known_to <= known_from
    union all
    select
        record_key,
        null as known_from,
        null as known_to
    from versions
    group by record_key
    having count(*) filter (where known_to is null) != 1
{% endtest %}
