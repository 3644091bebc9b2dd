with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

customers_versions as (

    select * from {{ ref('silver_customers_versions') }}

),

first_actions as (

    select * from {{ ref('silver_first_actions') }}

),

first_week_logins as (

    select * from {{ ref('silver_first_week_logins') }}

),

onboarding_steps as (

    select * from {{ ref('onboarding_steps') }}

),

sign_ups as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.built_from,
        cast(customers.signed_up_at as date) as signed_up_date
    from observations
    inner join customers_versions as customers
        on observations.customer_id = customers.customer_id
        and {{ holdfast.is_version_at('customers', 'observations.as_of_date') }}

),

steps as (

    select count(*) as steps from onboarding_steps

),

done as (

    select
        sign_ups.customer_id,
        sign_ups.as_of_date,
        min(case when first_actions.action = 'login' then first_actions.activity_date end) as first_login_date,
        count(distinct onboarding_steps.step) as steps_done
    from sign_ups
    inner join first_actions
        on sign_ups.customer_id = first_actions.customer_id
        and {{ holdfast.is_visible('first_actions.known_date', 'sign_ups.as_of_date') }}
    left join onboarding_steps
        on first_actions.action = onboarding_steps.action
    group by sign_ups.customer_id, sign_ups.as_of_date

),

first_weeks as (

    select
        sign_ups.customer_id,
        sign_ups.as_of_date,
        sum(first_week_logins.logins) as logins
    from sign_ups
    inner join first_week_logins
        on sign_ups.customer_id = first_week_logins.customer_id
        and sign_ups.signed_up_date = first_week_logins.signed_up_date
        and {{ holdfast.is_visible('first_week_logins.known_date', 'sign_ups.as_of_date') }}
    group by sign_ups.customer_id, sign_ups.as_of_date

),

features as (

    select
        sign_ups.customer_id,
        sign_ups.as_of_date,
        {{ holdfast.days_between('sign_ups.signed_up_date', 'done.first_login_date') }} as days_to_first_login,
        cast(coalesce(first_weeks.logins, 0) as bigint) as first_week_logins,
        {{ holdfast.ratio('coalesce(done.steps_done, 0)', 'steps.steps') }} as onboarding_completion_ratio,
        sign_ups.built_from
    from sign_ups
    cross join steps
    left join done
        on sign_ups.customer_id = done.customer_id
        and sign_ups.as_of_date = done.as_of_date
    left join first_weeks
        on sign_ups.customer_id = first_weeks.customer_id
        and sign_ups.as_of_date = first_weeks.as_of_date

)

select * from features
