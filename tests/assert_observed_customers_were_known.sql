-- Nobody is observed before we knew of them. A returned row is an observation of a customer whose
-- first version came at D or later, or never.

with first_known as (

    select
        customer_id,
        min(known_from) as known_from
    from {{ ref('silver_customers_versions') }}
    group by customer_id

)

select
    observations.customer_id,
    observations.as_of_date,
    first_known.known_from
from {{ ref('gold_observations') }} as observations
left join first_known
    on observations.customer_id = first_known.customer_id
where first_known.known_from is null
    or not {{ holdfast.is_visible('first_known.known_from', 'observations.as_of_date') }}
