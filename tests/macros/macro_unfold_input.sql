-- A returned row is a version that an observer of a ticket's life would not have seen, or one that is missing.
with raw_tickets as (

    -- resolved and rated; rated at the moment it was resolved; still open
    select 't1' as id, 'c1' as customer, '2024-02-28' as opened, '2024-02-29' as resolved, '2024-03-01' as rated, '5' as rating
    union all
    select 't2', 'c1', '2024-02-28', '2024-02-29', '2024-02-29', '1'
    union all
    select 't3', 'c1', '2024-02-28', null, null, null

),

unfolded as (

    select * from (
        {{ holdfast.unfold_input('tickets', 'raw_tickets', {
            'ticket_id': 'id',
            'customer_id': 'customer',
            'opened_at': 'opened',
            'resolved_at': 'resolved',
            'csat_at': 'rated',
            'csat_score': 'rating',
        }) }}
    ) as versions

),

expected as (

    select
        't1' as ticket_id,
        timestamp '2024-02-28 00:00:00' as known_at,
        cast(null as timestamp) as resolved_at,
        cast(null as timestamp) as csat_at,
        cast(null as integer) as csat_score
    union all
    select 't1', timestamp '2024-02-29 00:00:00', timestamp '2024-02-29 00:00:00', null, null
    union all
    select 't1', timestamp '2024-03-01 00:00:00', timestamp '2024-02-29 00:00:00', timestamp '2024-03-01 00:00:00', 5
    union all
    select 't2', timestamp '2024-02-28 00:00:00', null, null, null
    union all
    select 't2', timestamp '2024-02-29 00:00:00', timestamp '2024-02-29 00:00:00', timestamp '2024-02-29 00:00:00', 1
    union all
    select 't3', timestamp '2024-02-28 00:00:00', null, null, null

)

select
    unfolded.ticket_id as actual_ticket_id,
    unfolded.known_at as actual_known_at,
    expected.ticket_id as expected_ticket_id,
    expected.known_at as expected_known_at
from unfolded
full outer join expected
    on unfolded.ticket_id = expected.ticket_id
    and unfolded.known_at = expected.known_at
where unfolded.ticket_id is distinct from expected.ticket_id
    or unfolded.resolved_at is distinct from expected.resolved_at
    or unfolded.csat_at is distinct from expected.csat_at
    or unfolded.csat_score is distinct from expected.csat_score
