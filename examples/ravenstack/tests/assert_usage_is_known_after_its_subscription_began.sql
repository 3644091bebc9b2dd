-- A returned row is a use of a feature that we claim to have known before the subscription that it
-- belongs to began, so that the row would tell the account's future.
select
    activity.activity_id,
    activity.known_at,
    subscriptions.start_date
from {{ ref('company_activity') }} as activity
inner join {{ ref('raw_feature_usage') }} as feature_usage
    on activity.activity_id = feature_usage.usage_id
    and cast(activity.occurred_at as date) = cast(feature_usage.usage_date as date)
inner join {{ ref('raw_subscriptions') }} as subscriptions
    on feature_usage.subscription_id = subscriptions.subscription_id
where activity.known_at < cast(subscriptions.start_date as timestamp)
