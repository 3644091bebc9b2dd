{%- set measures = ['active_days', 'logins', 'actions', 'minutes'] %}
{%- set types = {'active_days': 'integer', 'logins': 'bigint', 'actions': 'bigint', 'minutes': 'decimal(18, 2)'} %}

with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

activity_bands as (

    select * from {{ ref('gold_activity_bands') }}

),

feature_use as (

    select * from {{ ref('gold_feature_use') }}

),

sums as (

    select
        customer_id,
        as_of_date,
        {%- for measure in measures %}
        {%- for days in var('windows') %}
        sum({{ measure }}) filter (where age_band <= {{ days }}) as {{ measure }}_{{ days }}d,
        {%- endfor %}
        sum({{ measure }}_obs) as {{ measure }}_obs{{ "," if not loop.last }}
        {%- endfor %}
    from activity_bands
    where as_of_date in (select observations.as_of_date from observations)
    group by customer_id, as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for window in holdfast.windows() %}
        {%- for measure in measures %}
        cast(coalesce(sums.{{ measure }}_{{ window.suffix }}, 0) as {{ types[measure] }}) as {{ measure }}_{{ window.suffix }},
        {%- endfor %}
        {%- endfor %}
        feature_use.features_used_30d,
        feature_use.features_used_90d,
        {{ holdfast.ratio('feature_use.features_used_30d', 'feature_use.offered_features') }} as feature_adoption_ratio_30d,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date
    left join feature_use
        on observations.customer_id = feature_use.customer_id
        and observations.as_of_date = feature_use.as_of_date

)

select * from features
