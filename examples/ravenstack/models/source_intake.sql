with contract_intake as (

    select * from {{ ref('holdfast', 'silver_intake') }}

),

churn_events as (

    select * from {{ ref('raw_churn_events') }}

),

subscription_ends as (

    select * from {{ ref('subscription_ends') }}

),

intake as (

    {% for file, entity, key in [
        ('accounts', 'customers', 'customer_id'),
        ('subscriptions', 'subscriptions', 'subscription_id'),
        ('feature_usage', 'activity', 'activity_id'),
        ('support_tickets', 'tickets', 'ticket_id'),
    ] -%}
    select
        '{{ file }}' as file,
        (select count(*) from {{ ref('raw_' ~ file) }}) as rows_in,
        -- an unfolded row has several versions and is one row still
        (
            select count(distinct {{ key }}) from {{ ref('holdfast', 'bronze_' ~ entity) }}
        ) as rows_kept,
        (select repeats from contract_intake where entity = '{{ entity }}') as repeats,
        (select rejects from contract_intake where entity = '{{ entity }}') as rejects,
        0 as set_aside
    union all
    {% endfor -%}
    select
        'churn_events' as file,
        (select count(*) from churn_events) as rows_in,
        (select count(distinct churn_event_id) from subscription_ends) as rows_kept,
        0 as repeats,
        0 as rejects,
        (
            select count(*) from churn_events
            where churn_event_id not in (select churn_event_id from subscription_ends)
        ) as set_aside

)

select * from intake
