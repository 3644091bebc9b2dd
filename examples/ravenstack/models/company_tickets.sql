with tickets as (

    select
        *,
        try_cast(submitted_at as timestamp)
        + to_minutes(try_cast(first_response_time_minutes as integer)) as first_response_at,
        -- the flag has no time of its own; by the end it had happened
        case when try_cast(escalation_flag as boolean) then closed_at end as escalated_at,
        case when satisfaction_score is not null then closed_at end as csat_at
    from {{ ref('raw_support_tickets') }}

),

mapped as (

    {{ holdfast.unfold_input('tickets', 'tickets', {
        'ticket_id': 'ticket_id',
        'customer_id': 'account_id',
        'opened_at': 'submitted_at',
        'first_response_at': 'first_response_at',
        'resolved_at': 'closed_at',
        'escalated_at': 'escalated_at',
        'priority': 'priority',
        'csat_score': 'satisfaction_score',
        'csat_at': 'csat_at',
    }) }}

)

select * from mapped
