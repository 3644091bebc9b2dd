{{ config(observation_bytes=3000) }}

-- The features come from the contracts of the families: a column that a family adds is here without an edit.
{% set missing = holdfast.missing_slices() -%}
with slices as (

    select * from {{ holdfast.slices_to_build('as_of_dates', missing) }} as to_build

),

observations as (

    select * from {{ ref('gold_observations') }}
    where {{ holdfast.in_part('customer_id') }}

),
{% for family in holdfast.feature_families() %}
{{ family }} as (

    select * from {{ ref('gold_features_' ~ family) }}
    where {{ holdfast.at_dates('as_of_date', missing) }}
        and {{ holdfast.in_part('customer_id') }}

),
{% endfor %}
customer_360 as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.cohort,
        observations.observation_days,
        observations.horizon_days,
        observations.value_tier,
        observations.monthly_revenue,
        observations.sample_weight,
        {%- for family in holdfast.feature_families() %}
        {%- for feature in holdfast.feature_columns(family) %}
        {{ family }}.{{ feature }},
        {%- endfor %}
        {%- endfor %}
        slices.built_from
    from observations
    inner join slices
        on observations.as_of_date = slices.slice
    {%- for family in holdfast.feature_families() %}
    left join {{ family }}
        on observations.customer_id = {{ family }}.customer_id
        and observations.as_of_date = {{ family }}.as_of_date
    {%- endfor %}

)

select * from customer_360
