with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

customers_versions as (

    select * from {{ ref('silver_customers_versions') }}

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        observations.tenure_days,
        customers.segment,
        customers.industry,
        customers.country,
        customers.company_size,
        customers.acquisition_channel,
        observations.built_from
    from observations
    inner join customers_versions as customers
        on observations.customer_id = customers.customer_id
        and {{ holdfast.is_version_at('customers', 'observations.as_of_date') }}

)

select * from features
