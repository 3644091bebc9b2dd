-- customer_360 has exactly the observations, and what describes one is the same in both. A returned
-- row is an observation that customer_360 lacks or tells otherwise, or one of customer_360 that is
-- not an observation.

select
    coalesce(observations.customer_id, customer_360.customer_id) as customer_id,
    coalesce(observations.as_of_date, customer_360.as_of_date) as as_of_date,
    case
        when customer_360.customer_id is null then 'missing in customer_360'
        when observations.customer_id is null then 'no observation'
        else 'told otherwise'
    end as finding
from {{ ref('gold_observations') }} as observations
full outer join {{ ref('gold_customer_360') }} as customer_360
    on observations.customer_id = customer_360.customer_id
    and observations.as_of_date = customer_360.as_of_date
where observations.customer_id is null
    or customer_360.customer_id is null
    or observations.cohort is distinct from customer_360.cohort
    or observations.horizon_days is distinct from customer_360.horizon_days
    or observations.value_tier is distinct from customer_360.value_tier
    or observations.monthly_revenue is distinct from customer_360.monthly_revenue
    or observations.sample_weight is distinct from customer_360.sample_weight
