with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

customers_versions as (

    select * from {{ ref('silver_customers_versions') }}

),

first_logins as (

    select * from {{ ref('silver_first_logins') }}

),

daily_onboarding as (

    select * from {{ ref('silver_daily_onboarding') }}

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

logged_in as (

    select
        sign_ups.customer_id,
        sign_ups.as_of_date,
        min(first_logins.login_date) as first_login_date
    from sign_ups
    inner join first_logins
        on sign_ups.customer_id = first_logins.customer_id
        and {{ holdfast.is_visible('first_logins.known_date', 'sign_ups.as_of_date') }}
    group by sign_ups.customer_id, sign_ups.as_of_date

),

steps_done as (

    select
        customer_id,
        step,
        min(known_date) as known_date
    from daily_onboarding
    group by customer_id, step

),

onboarded as (

    select
        sign_ups.customer_id,
        sign_ups.as_of_date,
        count(*) as steps
    from sign_ups
    inner join steps_done
        on sign_ups.customer_id = steps_done.customer_id
        and {{ holdfast.is_visible('steps_done.known_date', 'sign_ups.as_of_date') }}
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
        {{ holdfast.days_between('sign_ups.signed_up_date', 'logged_in.first_login_date') }} as days_to_first_login,
        cast(coalesce(first_weeks.logins, 0) as bigint) as first_week_logins,
        {{ holdfast.ratio('coalesce(onboarded.steps, 0)', 'steps.steps') }} as onboarding_completion_ratio,
        sign_ups.built_from
    from sign_ups
    cross join steps
    left join logged_in
        on sign_ups.customer_id = logged_in.customer_id
        and sign_ups.as_of_date = logged_in.as_of_date
    left join onboarded
        on sign_ups.customer_id = onboarded.customer_id
        and sign_ups.as_of_date = onboarded.as_of_date
    left join first_weeks
        on sign_ups.customer_id = first_weeks.customer_id
        and sign_ups.as_of_date = first_weeks.as_of_date

)

select * from features
