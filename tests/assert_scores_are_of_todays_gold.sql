-- The probabilities that the worklist shows were computed from the gold rows that it shows. A
-- returned row is the current date where gold was rebuilt after it was scored: rows came in late
-- with an early known_at, or a feature changed.
-- It warns: the list is still the best there is, and `holdfast score` mends it.
{{ config(severity='warn') }}

select
    predictions.as_of_date,
    predictions.model_name,
    predictions.model_version,
    count(*) as customers
from {{ source('ml', 'predictions') }} as predictions
inner join {{ ref('marts_customer_risk') }} as customer_risk
    on {{ holdfast.equal_columns(
        'predictions', 'customer_risk', ['customer_id', 'as_of_date', 'model_name', 'model_version']
    ) }}
left join {{ ref('gold_fingerprints') }} as fingerprints
    on predictions.as_of_date = fingerprints.as_of_date
    and fingerprints.relation = 'customer_360'
where customer_risk.is_current
    and predictions.gold_fingerprint is distinct from fingerprints.fingerprint
group by predictions.as_of_date, predictions.model_name, predictions.model_version
