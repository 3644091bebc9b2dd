-- A returned row is a date that `add_days` misses, or a number of days that `days_between` miscounts.
with added as (

    select
        'the day before 1 March of a leap year' as case_name,
        {{ holdfast.add_days("date '2024-03-01'", '-1') }} as actual,
        date '2024-02-29' as expected
    union all
    select 'the day before 1 March of another year', {{ holdfast.add_days("date '2023-03-01'", '-1') }}, date '2023-02-28'
    union all
    select 'a year that holds a leap day', {{ holdfast.add_days("date '2024-03-01'", '-365') }}, date '2023-03-02'
    union all
    select 'from the leap day on', {{ holdfast.add_days("date '2024-02-29'", '365') }}, date '2025-02-28'
    union all
    select 'no leap day in 1900', {{ holdfast.add_days("date '1900-02-28'", '1') }}, date '1900-03-01'
    union all
    select 'a leap day in 2000', {{ holdfast.add_days("date '2000-02-28'", '1') }}, date '2000-02-29'
    union all
    select 'a number', {{ holdfast.add_days("date '2024-02-28'", 2) }}, date '2024-03-01'
    union all
    select 'none', {{ holdfast.add_days("date '2024-02-29'", 0) }}, date '2024-02-29'
    union all
    select 'a sum', {{ holdfast.add_days("date '2024-01-31'", '30 + 30') }}, date '2024-03-31'
    union all
    select 'a column less than nothing', {{ holdfast.add_days("date '2024-03-01'", '-(observation_days)') }}, date '2024-02-16'
    from (select 14 as observation_days) as observations
    union all
    select 'an unknown date', {{ holdfast.add_days('cast(null as date)', '1') }}, cast(null as date)

),

counted as (

    select
        'a leap day lies between' as case_name,
        {{ holdfast.days_between("date '2024-02-28'", "date '2024-03-01'") }} as actual,
        2 as expected
    union all
    select 'a leap year', {{ holdfast.days_between("date '2024-01-01'", "date '2025-01-01'") }}, 366
    union all
    select 'the same day', {{ holdfast.days_between("date '2024-02-29'", "date '2024-02-29'") }}, 0
    union all
    select 'backwards', {{ holdfast.days_between("date '2024-03-01'", "date '2024-02-29'") }}, -1
    union all
    -- the date of a moment counts, not the hours between
    select
        'two seconds across midnight',
        {{ holdfast.days_between("timestamp '2024-02-29 23:59:59'", "timestamp '2024-03-01 00:00:01'") }},
        1
    union all
    select
        'nearly two days within one midnight',
        {{ holdfast.days_between("timestamp '2024-02-29 00:00:00'", "timestamp '2024-03-01 23:59:59'") }},
        1
    union all
    select 'an unknown end', {{ holdfast.days_between("date '2024-02-29'", 'cast(null as timestamp)') }}, cast(null as integer)

)

select
    case_name,
    cast(actual as {{ dbt.type_string() }}) as actual,
    cast(expected as {{ dbt.type_string() }}) as expected
from added
where actual is distinct from expected
union all
select
    case_name,
    cast(actual as {{ dbt.type_string() }}) as actual,
    cast(expected as {{ dbt.type_string() }}) as expected
from counted
where actual is distinct from expected
