{%- set measures = ['active_days', 'logins', 'actions', 'minutes'] %}
{%- set types = {'active_days': 'integer', 'logins': 'bigint', 'actions': 'bigint', 'minutes': 'decimal(18, 2)'} %}
{%- set missing = holdfast.missing_slices() %}

with observations as (

    select * from {{ holdfast.observations_to_build(missing=missing) }} as to_build

),

activity_windows as (

    select * from {{ ref('gold_activity_windows') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

feature_use as (

    select * from {{ ref('gold_feature_use') }}
    where {{ holdfast.at_dates('as_of_date', missing) }}

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        {%- for measure in measures %}
        cast(coalesce(activity_windows.{{ measure }}_{{ window.suffix }}, 0) as {{ types[measure] }}) as {{ measure }}_{{ window.suffix }},
        {%- endfor %}
        {%- endfor %}
        feature_use.features_used_30d,
        feature_use.features_used_90d,
        {{ holdfast.ratio('feature_use.features_used_30d', 'feature_use.offered_features') }} as feature_adoption_ratio_30d,
        observations.built_from
    from observations
    left join activity_windows
        on observations.customer_id = activity_windows.customer_id
        and observations.as_of_date = activity_windows.as_of_date
    left join feature_use
        on observations.customer_id = feature_use.customer_id
        and observations.as_of_date = feature_use.as_of_date

)

select * from features
