-- A returned row is a subscription that is taken for active at D, or for not active, wrongly; or whose stop is misread.
with subscriptions as (

    -- D is 1 March 2024; s: a second before D, d: D, l: later
    select
        case_name,
        cast(started_at as timestamp) as started_at,
        cast(cancelled_at as timestamp) as cancelled_at,
        cast(ended_at as timestamp) as ended_at,
        is_active,
        cast(stopped_at as timestamp) as stopped_at
    from (
        select
            'started a second before D' as case_name,
            '2024-02-29 23:59:59' as started_at,
            null as cancelled_at,
            null as ended_at,
            true as is_active,
            null as stopped_at
        union all
        select 'starts at D', '2024-03-01 00:00:00', null, null, false, null
        union all
        select 'starts later', '2024-04-01 00:00:00', null, null, false, null
        union all
        select 'cancelled a second before D', '2023-01-01', '2024-02-29 23:59:59', null, false, '2024-02-29 23:59:59'
        union all
        select 'cancelled at D', '2023-01-01', '2024-03-01 00:00:00', null, true, '2024-03-01 00:00:00'
        union all
        select 'ended a second before D', '2023-01-01', null, '2024-02-29 23:59:59', false, '2024-02-29 23:59:59'
        union all
        select 'ends at D', '2023-01-01', null, '2024-03-01 00:00:00', true, '2024-03-01 00:00:00'
        union all
        select 'notice given, the end ahead', '2023-01-01', '2024-02-01', '2024-04-01', false, '2024-02-01'
    ) as cases

),

judged as (

    select
        case_name,
        {{ holdfast.is_active_subscription('subscriptions', "date '2024-03-01'") }} as actual,
        is_active as expected,
        {{ holdfast.subscription_stopped_at('subscriptions') }} as actual_stop,
        stopped_at as expected_stop
    from subscriptions

)

select * from judged
where actual is distinct from expected
    or actual_stop is distinct from expected_stop
