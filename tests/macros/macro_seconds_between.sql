-- A returned row is a span that `seconds_between` does not give in whole seconds.
with cases as (

    select
        'a second across the leap day' as case_name,
        {{ holdfast.seconds_between("timestamp '2024-02-29 23:59:59'", "timestamp '2024-03-01 00:00:00'") }} as actual,
        1 as expected
    union all
    select 'none', {{ holdfast.seconds_between("timestamp '2024-03-01 00:00:00'", "timestamp '2024-03-01 00:00:00'") }}, 0
    union all
    select
        'a leap year',
        {{ holdfast.seconds_between("timestamp '2024-01-01 00:00:00'", "timestamp '2025-01-01 00:00:00'") }},
        31622400
    union all
    select
        'not quite two seconds',
        {{ holdfast.seconds_between("timestamp '2024-03-01 00:00:00'", "timestamp '2024-03-01 00:00:01.999999'") }},
        1
    union all
    select
        'unknown',
        {{ holdfast.seconds_between("timestamp '2024-03-01 00:00:00'", 'cast(null as timestamp)') }},
        cast(null as bigint)

)

select * from cases
where actual is distinct from expected
