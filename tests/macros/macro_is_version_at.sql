-- A returned row is a version that `is_version_at` takes for the one known at D, or for another, wrongly.
with versions as (

    -- D is 1 March 2024
    select
        'open, known a second before D' as case_name,
        timestamp '2024-02-29 23:59:59' as known_from,
        cast(null as timestamp) as known_to,
        true as expected
    union all
    select 'open, known at D', timestamp '2024-03-01 00:00:00', cast(null as timestamp), false
    union all
    select 'replaced a second before D', timestamp '2024-02-01 00:00:00', timestamp '2024-02-29 23:59:59', false
    union all
    select 'replaced at D', timestamp '2024-02-01 00:00:00', timestamp '2024-03-01 00:00:00', true
    union all
    select 'known and replaced after D', timestamp '2024-03-02 00:00:00', timestamp '2024-03-03 00:00:00', false

),

judged as (

    select
        case_name,
        {{ holdfast.is_version_at('versions', "date '2024-03-01'") }} as actual,
        expected
    from versions

)

select * from judged
where actual is distinct from expected
