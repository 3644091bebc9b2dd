-- Whoever was active at a scored date was scored, and nobody else. A returned row is an observation
-- without a prediction, or a prediction without an observation. Only where gold still is what was
-- scored; where it was rebuilt since, assert_scores_are_of_todays_gold says so.

with scored_dates as (

    select
        predictions.as_of_date,
        predictions.model_name,
        predictions.model_version
    from {{ source('ml', 'predictions') }} as predictions
    inner join {{ ref('gold_fingerprints') }} as fingerprints
        on predictions.as_of_date = fingerprints.as_of_date
        and predictions.gold_fingerprint = fingerprints.fingerprint
        and fingerprints.relation = 'customer_360'
    group by predictions.as_of_date, predictions.model_name, predictions.model_version

),

expected as (

    select
        observations.customer_id,
        scored_dates.as_of_date,
        scored_dates.model_name,
        scored_dates.model_version
    from scored_dates
    inner join {{ ref('gold_observations') }} as observations
        on scored_dates.as_of_date = observations.as_of_date

),

found as (

    select
        predictions.customer_id,
        predictions.as_of_date,
        predictions.model_name,
        predictions.model_version
    from {{ source('ml', 'predictions') }} as predictions
    inner join scored_dates
        on {{ holdfast.equal_columns(
            'predictions', 'scored_dates', ['as_of_date', 'model_name', 'model_version']
        ) }}

)

select
    coalesce(expected.customer_id, found.customer_id) as customer_id,
    coalesce(expected.as_of_date, found.as_of_date) as as_of_date,
    coalesce(expected.model_name, found.model_name) as model_name,
    coalesce(expected.model_version, found.model_version) as model_version,
    case when found.customer_id is null then 'not scored' else 'no observation' end as finding
from expected
full outer join found
    on {{ holdfast.equal_columns(
        'expected', 'found', ['customer_id', 'as_of_date', 'model_name', 'model_version']
    ) }}
where expected.customer_id is null
    or found.customer_id is null
