-- The worklist is the current customers with the most money at risk, as many as the team can call:
-- all of them, where it can call more. A returned row is a customer who is wrongly on it or wrongly
-- not.

with current_customers as (

    select
        customer_id,
        row_number() over (
            order by
                revenue_at_risk desc nulls last,
                churn_probability desc nulls last,
                {{ holdfast.in_code_order('customer_id') }} asc nulls last
        ) as place
    from {{ ref('marts_customer_risk') }}
    where is_current

),

expected as (

    select
        customer_id,
        place
    from current_customers
    where place <= {{ var('worklist_capacity') }}

)

select
    coalesce(expected.customer_id, worklist.customer_id) as customer_id,
    expected.place,
    worklist.priority
from expected
full outer join {{ ref('marts_retention_worklist') }} as worklist
    on expected.customer_id = worklist.customer_id
where expected.place is distinct from worklist.priority
