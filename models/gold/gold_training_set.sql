{{ config(materialized='view') }}

with customer_360 as (

    select * from {{ ref('gold_customer_360') }}

),

churn_labels as (

    select * from {{ ref('gold_churn_labels') }}
    where is_label_available
        and not has_left_before

),

as_of_dates as (

    select * from {{ ref('gold_as_of_dates') }}
    where is_grid

),

training_set as (

    select
        customer_360.customer_id,
        customer_360.as_of_date,
        customer_360.cohort,
        customer_360.observation_days,
        customer_360.horizon_days,
        customer_360.value_tier,
        customer_360.monthly_revenue,
        customer_360.sample_weight,
        {%- for family in holdfast.feature_families() %}
        {%- for feature in holdfast.feature_columns(family) %}
        customer_360.{{ feature }},
        {%- endfor %}
        {%- endfor %}
        churn_labels.is_churn,
        churn_labels.churned_at,
        churn_labels.days_to_churn,
        churn_labels.churn_type,
        churn_labels.label_known_at
    from customer_360
    inner join churn_labels
        on customer_360.customer_id = churn_labels.customer_id
        and customer_360.as_of_date = churn_labels.as_of_date
    inner join as_of_dates
        on customer_360.as_of_date = as_of_dates.as_of_date

)

select * from training_set
