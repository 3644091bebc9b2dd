with predictions as (

    select * from {{ source('ml', 'predictions') }}

),

alias_history as (

    select * from {{ source('ml', 'alias_history') }}
    where alias = 'champion'

),

-- one a version: the threshold of the policy whose alerts count
thresholds as (

    select * from {{ source('ml', 'thresholds') }}
    where is_chosen

),

customer_360 as (

    select * from {{ ref('gold_customer_360') }}

),

numbered_changes as (

    select
        model_name,
        to_version,
        changed_at,
        row_number() over (
            partition by model_name
            order by changed_at desc nulls last, to_version desc nulls last
        ) as changes_back
    from alias_history

),

-- the newest change of each model, unless it took the alias away; of several models the newest
champions as (

    select
        model_name,
        to_version as model_version,
        row_number() over (order by changed_at desc nulls last, {{ holdfast.in_code_order('model_name') }} asc nulls last) as place
    from numbered_changes
    where changes_back = 1
        and to_version is not null

),

terms_as_champion as (

    select
        model_name,
        to_version as model_version,
        max(changed_at) as became_champion_at
    from alias_history
    where to_version is not null
    group by model_name, to_version

),

scored_dates as (

    select
        as_of_date,
        model_name,
        model_version
    from predictions
    group by as_of_date, model_name, model_version

),

-- one version speaks for a date: of those that scored it, the one that became champion last
speakers as (

    select
        scored_dates.as_of_date,
        scored_dates.model_name,
        scored_dates.model_version,
        champions.model_version is not null as is_champion,
        row_number() over (
            partition by scored_dates.as_of_date
            order by
                terms_as_champion.became_champion_at desc nulls last,
                {{ holdfast.in_code_order('scored_dates.model_name') }} asc nulls last,
                scored_dates.model_version desc nulls last
        ) as place
    from scored_dates
    inner join terms_as_champion
        on scored_dates.model_name = terms_as_champion.model_name
        and scored_dates.model_version = terms_as_champion.model_version
    left join champions
        on scored_dates.model_name = champions.model_name
        and scored_dates.model_version = champions.model_version
        and champions.place = 1

),

dates as (

    select
        as_of_date,
        model_name,
        model_version,
        is_champion
        and as_of_date = max(case when is_champion then as_of_date end) over () as is_current
    from speakers
    where place = 1

),

risks as (

    select
        customer_360.customer_id,
        customer_360.as_of_date,
        cast(predictions.churn_probability as decimal(18, 6)) as churn_probability,
        -- a policy that calls nobody has no threshold
        coalesce(predictions.churn_probability >= thresholds.threshold, false) as is_alert,
        customer_360.horizon_days,
        customer_360.monthly_revenue,
        -- a customer who sent back more than was bought has no revenue to lose
        cast(
            cast(predictions.churn_probability as decimal(19, 6))
            * cast(12 * customer_360.monthly_revenue as decimal(18, 2))
            as decimal(18, 2)
        ) as revenue_at_risk,
        customer_360.value_tier,
        customer_360.cohort,
        coalesce(customer_360.segment, 'unknown') as segment,
        customer_360.country,
        customer_360.plan,
        customer_360.tenure_days,
        customer_360.days_to_renewal,
        customer_360.auto_renew,
        customer_360.open_tickets,
        customer_360.days_since_last_activity,
        predictions.model_name,
        predictions.model_version,
        dates.is_current
    from dates
    inner join predictions
        on dates.as_of_date = predictions.as_of_date
        and dates.model_name = predictions.model_name
        and dates.model_version = predictions.model_version
    inner join customer_360
        on predictions.customer_id = customer_360.customer_id
        and predictions.as_of_date = customer_360.as_of_date
    left join thresholds
        on predictions.model_name = thresholds.model_name
        and predictions.model_version = thresholds.model_version

),

ranked as (

    select
        *,
        row_number() over (
            partition by as_of_date
            order by
                revenue_at_risk desc nulls last,
                churn_probability desc nulls last,
                {{ holdfast.in_code_order('customer_id') }} asc nulls last
        ) as priority,
        row_number() over (
            partition by as_of_date
            order by churn_probability desc nulls last, {{ holdfast.in_code_order('customer_id') }} asc nulls last
        ) as likelihood_place,
        count(*) over (partition by as_of_date) as customers
    from risks

),

customer_risk as (

    select
        customer_id,
        as_of_date,
        is_current,
        cast(priority as integer) as priority,
        churn_probability,
        is_alert,
        horizon_days,
        monthly_revenue,
        revenue_at_risk,
        10 * (likelihood_place - 1) < customers as is_high_risk,
        value_tier,
        cohort,
        segment,
        country,
        plan,
        tenure_days,
        days_to_renewal,
        auto_renew,
        open_tickets,
        days_since_last_activity,
        model_name,
        model_version
    from ranked

)

select * from customer_risk
