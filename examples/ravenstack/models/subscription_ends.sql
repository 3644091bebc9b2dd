with subscriptions as (

    select
        subscription_id,
        account_id,
        try_cast(start_date as date) as start_date,
        try_cast(end_date as date) as end_date
    from {{ ref('raw_subscriptions') }}

),

churn_events as (

    select
        churn_event_id,
        account_id,
        try_cast(churn_date as date) as churn_date,
        reason_code
    from {{ ref('raw_churn_events') }}

),

-- An account's churn event ends the subscriptions that had begun before that day and were open.
ended as (

    select
        subscriptions.subscription_id,
        churn_events.churn_event_id,
        churn_events.churn_date,
        churn_events.reason_code,
        row_number() over (
            partition by subscriptions.subscription_id
            order by
                churn_events.churn_date asc nulls last,
                churn_events.churn_event_id asc nulls last
        ) as event_number
    from subscriptions
    inner join churn_events
        on subscriptions.account_id = churn_events.account_id
        and subscriptions.start_date < churn_events.churn_date
        and (
            subscriptions.end_date is null
            or subscriptions.end_date >= churn_events.churn_date
        )

),

subscription_ends as (

    select
        subscription_id,
        churn_event_id,
        churn_date,
        reason_code
    from ended
    where event_number = 1

)

select * from subscription_ends
