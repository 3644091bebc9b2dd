with feature_usage as (

    select
        feature_usage.*,
        subscriptions.account_id,
        -- Who used the feature stands in the subscription, which most rows are older than: the row
        -- cannot have been known before there was one. Dated at the use itself, it would tell that
        -- the account is going to subscribe.
        greatest(feature_usage.usage_date, subscriptions.start_date) as known_on
    from {{ ref('raw_feature_usage') }} as feature_usage
    left join {{ ref('raw_subscriptions') }} as subscriptions
        on feature_usage.subscription_id = subscriptions.subscription_id

),

mapped as (

    {{ holdfast.map_input('activity', 'feature_usage', {
        'activity_id': 'usage_id',
        'customer_id': 'account_id',
        'occurred_at': 'usage_date',
        'action': "'feature_use'",
        'feature': 'feature_name',
        'quantity': 'usage_count',
        'minutes': 'try_cast(usage_duration_secs as decimal(18, 2)) / 60',
        'known_at': 'known_on',
    }) }}

)

select * from mapped
