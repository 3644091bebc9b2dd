with subscriptions as (

    select
        subscriptions.*,
        subscription_ends.churn_date,
        coalesce(cast(subscription_ends.churn_date as text), subscriptions.end_date) as ended_on,
        subscription_ends.reason_code,
        case subscriptions.billing_frequency
            when 'monthly' then '1'
            when 'annual' then '12'
            else subscriptions.billing_frequency
        end as billing_period_months
    from {{ ref('raw_subscriptions') }} as subscriptions
    left join {{ ref('subscription_ends') }} as subscription_ends
        on subscriptions.subscription_id = subscription_ends.subscription_id

),

-- `churn_flag`, `upgrade_flag`, `downgrade_flag` and `auto_renew_flag` are as of the day of
-- extraction and carry no time
mapped as (

    {{ holdfast.unfold_input('subscriptions', 'subscriptions', {
        'subscription_id': 'subscription_id',
        'customer_id': 'account_id',
        'plan': 'plan_tier',
        'mrr': 'mrr_amount',
        'seats': 'seats',
        'billing_period_months': 'billing_period_months',
        'started_at': 'start_date',
        'cancelled_at': 'churn_date',
        'ended_at': 'ended_on',
        'end_reason': 'reason_code',
    }) }}

)

select * from mapped
