-- Every observation lies in one cohort and one value tier, and so has a horizon and a weight: the
-- seeds leave no gap and overlap nowhere. A returned row is an observation that they miss, or that
-- they hold more than once.

select
    customer_id,
    as_of_date,
    min(tenure_days) as tenure_days,
    min(monthly_revenue) as monthly_revenue,
    count(*) as row_count
from {{ ref('gold_observations') }}
group by customer_id, as_of_date
having count(*) != 1
    or count(cohort) != 1
    or count(observation_days) != 1
    or count(horizon_days) != 1
    or count(value_tier) != 1
    or coalesce(min(sample_weight), 0) <= 0
