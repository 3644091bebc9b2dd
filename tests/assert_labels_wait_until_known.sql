-- A label exists from D + horizon + grace + label delay on, not before (churn by inactivity has no
-- grace), and churn lies in [D, D + horizon). A returned row is a label that came too early or too
-- late, or says something that a label cannot say.
{%- set grace_days = var('grace_days') if var('churn_definition') == 'subscription' else 0 %}

with clock as (

    select * from {{ ref('silver_clock') }}

),

labels as (

    select
        churn_labels.*,
        observations.horizon_days,
        clock.data_until
    from {{ ref('gold_churn_labels') }} as churn_labels
    left join {{ ref('gold_observations') }} as observations
        on churn_labels.customer_id = observations.customer_id
        and churn_labels.as_of_date = observations.as_of_date
    cross join clock

)

select
    customer_id,
    as_of_date,
    horizon_days,
    label_known_at,
    is_label_available,
    is_churn,
    churned_at
from labels
where horizon_days is null
    or {{ holdfast.days_between('as_of_date', 'label_known_at') }}
    != horizon_days + {{ grace_days }} + {{ var('label_delay_days') }}
    or is_label_available is distinct from (label_known_at <= data_until)
    or is_label_available is distinct from (is_churn is not null)
    or coalesce(is_churn, false) is distinct from (churned_at is not null)
    or coalesce(is_churn, false) is distinct from (days_to_churn is not null)
    or coalesce(is_churn, false) is distinct from (churn_type is not null)
    or days_to_churn < 0
    or days_to_churn >= horizon_days
