-- A returned row is an event that `in_window` takes for inside, or for outside, wrongly: inside is [D - days, D).
with events as (

    -- D is 1 March of a leap year, so 30 days go back to 31 January
    select 'a second before D' as case_name, timestamp '2024-02-29 23:59:59' as event_at, true as expected
    union all
    select 'D itself', timestamp '2024-03-01 00:00:00', false
    union all
    select 'D minus the window', timestamp '2024-01-31 00:00:00', true
    union all
    select 'a second before that', timestamp '2024-01-30 23:59:59', false
    union all
    select 'the leap day', timestamp '2024-02-29 00:00:00', true
    union all
    select 'unknown', cast(null as timestamp), cast(null as boolean)

),

judged as (

    select
        case_name,
        {{ holdfast.in_window('event_at', "date '2024-03-01'", 30) }} as actual,
        expected
    from events
    union all
    -- the date of the event says the same as its moment
    select
        case_name || ', as a date',
        {{ holdfast.in_window('cast(event_at as date)', "date '2024-03-01'", 30) }},
        expected
    from events
    union all
    -- the window may be a column
    select
        events.case_name || ', by the cohort',
        {{ holdfast.in_window('events.event_at', "date '2024-03-01'", 'observations.observation_days') }},
        events.expected
    from events
    cross join (select 30 as observation_days) as observations

)

select * from judged
where actual is distinct from expected
