-- A returned row is a day that `series_of_days` leaves out or adds, across a leap day.
with actual as (

    {{ holdfast.series_of_days("date '2024-02-28'", "date '2024-03-01'") }}

),

expected as (

    select date '2024-02-28' as calendar_date
    union all
    select date '2024-02-29'
    union all
    select date '2024-03-01'

)

select
    actual.calendar_date as actual,
    expected.calendar_date as expected
from actual
full outer join expected
    on actual.calendar_date = expected.calendar_date
where actual.calendar_date is distinct from expected.calendar_date
