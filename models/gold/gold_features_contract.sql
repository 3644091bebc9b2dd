with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

subscriptions_versions as (

    select * from {{ ref('silver_subscriptions_versions') }}

),

value_tiers as (

    select * from {{ ref('value_tiers') }}

),

active as (

    select
        observations.customer_id,
        observations.as_of_date,
        subscriptions.subscription_id,
        subscriptions.plan,
        coalesce(subscriptions.mrr, 0) as mrr,
        subscriptions.discount_ratio,
        subscriptions.billing_period_months,
        subscriptions.auto_renew,
        case
            when cast(subscriptions.renews_at as date) >= observations.as_of_date
                then {{ holdfast.days_between('observations.as_of_date', 'subscriptions.renews_at') }}
        end as days_to_renewal
    from observations
    inner join subscriptions_versions as subscriptions
        on observations.customer_id = subscriptions.customer_id
        and {{ holdfast.is_version_at('subscriptions', 'observations.as_of_date') }}
        and {{ holdfast.is_active_subscription('subscriptions', 'observations.as_of_date') }}

),

totals as (

    select
        customer_id,
        as_of_date,
        cast(sum(mrr) as decimal(18, 2)) as mrr,
        count(*) as active_subscriptions,
        min(days_to_renewal) as days_to_renewal,
        sum(mrr * days_to_renewal) as revenue_days
    from active
    group by customer_id, as_of_date

),

by_size as (

    select
        *,
        row_number() over (
            partition by customer_id, as_of_date
            order by mrr desc nulls last, {{ holdfast.in_code_order('subscription_id') }} asc nulls last
        ) as place
    from active

),

main_subscriptions as (

    select * from by_size
    where place = 1

),

plan_versions as (

    select
        customer_id,
        known_from,
        plan is distinct from lag(plan) over (partition by subscription_id order by known_from asc nulls last) as is_new_plan,
        row_number() over (partition by subscription_id order by known_from asc nulls last) as version_number
    from subscriptions_versions

),

plan_changes as (

    select
        observations.customer_id,
        observations.as_of_date,
        count(*) as plan_changes
    from observations
    inner join plan_versions
        on observations.customer_id = plan_versions.customer_id
        and {{ holdfast.in_window('plan_versions.known_from', 'observations.as_of_date', 180) }}
    where plan_versions.is_new_plan
        and plan_versions.version_number > 1
    group by observations.customer_id, observations.as_of_date

),

earlier_dates as (

    select
        customer_id,
        as_of_date,
        {{ holdfast.add_days('as_of_date', '-90') }} as earlier_date
    from observations

),

earlier as (

    select
        earlier_dates.customer_id,
        earlier_dates.as_of_date,
        sum(coalesce(subscriptions.mrr, 0)) as mrr
    from earlier_dates
    inner join subscriptions_versions as subscriptions
        on earlier_dates.customer_id = subscriptions.customer_id
        and {{ holdfast.is_version_at('subscriptions', 'earlier_dates.earlier_date') }}
        and {{ holdfast.is_active_subscription('subscriptions', 'earlier_dates.earlier_date') }}
    group by earlier_dates.customer_id, earlier_dates.as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        totals.mrr,
        cast(totals.mrr * 12 as decimal(18, 2)) as arr,
        cast(coalesce(totals.active_subscriptions, 0) as integer) as active_subscriptions,
        main_subscriptions.plan,
        main_subscriptions.billing_period_months,
        main_subscriptions.discount_ratio,
        main_subscriptions.auto_renew,
        totals.days_to_renewal,
        cast({{ holdfast.ratio('totals.revenue_days', '30') }} as decimal(18, 2)) as contract_value_remaining,
        cast(coalesce(plan_changes.plan_changes, 0) as integer) as plan_changes_180d,
        cast(totals.mrr - earlier.mrr as decimal(18, 2)) as mrr_change_90d,
        cast(totals.mrr * value_tiers.expected_lifetime_months as decimal(18, 2)) as estimated_ltv,
        observations.built_from
    from observations
    left join totals
        on observations.customer_id = totals.customer_id
        and observations.as_of_date = totals.as_of_date
    left join main_subscriptions
        on observations.customer_id = main_subscriptions.customer_id
        and observations.as_of_date = main_subscriptions.as_of_date
    left join plan_changes
        on observations.customer_id = plan_changes.customer_id
        and observations.as_of_date = plan_changes.as_of_date
    left join earlier
        on observations.customer_id = earlier.customer_id
        and observations.as_of_date = earlier.as_of_date
    left join value_tiers
        on (value_tiers.min_monthly_revenue is null or totals.mrr >= value_tiers.min_monthly_revenue)
        and (value_tiers.below_monthly_revenue is null or totals.mrr < value_tiers.below_monthly_revenue)

)

select * from features
