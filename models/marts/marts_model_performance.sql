{%- set version_date = ['model_name', 'model_version', 'as_of_date'] -%}
{%- set segment_key = version_date + ['segment_type', 'segment'] -%}

with predictions as (

    select * from {{ source('ml', 'predictions') }}

),

model_versions as (

    select * from {{ source('ml', 'model_versions') }}

),

observations as (

    select * from {{ ref('gold_observations') }}

),

churn_labels as (

    select * from {{ ref('gold_churn_labels') }}

),

-- the ranking at the time: everyone scored counts, judged later or not
score_groups as (

    select
        {{ version_date | join(', ') }},
        score,
        count(*) as customers
    from predictions
    group by {{ version_date | join(', ') }}, score

),

score_places as (

    select
        {{ version_date | join(', ') }},
        score,
        customers,
        cast(
            sum(customers) over (
                partition by {{ version_date | join(', ') }}
                order by score desc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) - customers as customers_before
    from score_groups

),

-- equal scores share the places that are left, so no figure depends on the order among them
capacity as (

    select
        {{ version_date | join(', ') }},
        score,
        cast(
            {{ holdfast.share_within('customers_before', 'customers', var('worklist_capacity')) }}
            as decimal(18, 12)
        ) as capacity_share
    from score_places

),

scored as (

    select
        predictions.model_name,
        predictions.model_version,
        predictions.as_of_date,
        predictions.score,
        cast(predictions.churn_probability as decimal(18, 12)) as churn_probability,
        capacity.capacity_share,
        observations.cohort,
        observations.value_tier,
        churn_labels.is_label_available,
        churn_labels.is_label_available
        and churn_labels.has_left_before is not true as is_judged,
        case when churn_labels.is_churn then 1 else 0 end as churned,
        churn_labels.days_to_churn
    from predictions
    inner join capacity
        on {{ holdfast.equal_columns('predictions', 'capacity', version_date + ['score']) }}
    inner join observations
        on predictions.customer_id = observations.customer_id
        and predictions.as_of_date = observations.as_of_date
    inner join churn_labels
        on predictions.customer_id = churn_labels.customer_id
        and predictions.as_of_date = churn_labels.as_of_date

),

segmented as (
    {% for segment_type in ['overall', 'cohort', 'value_tier'] %}
    select
        {{ version_date | join(', ') }},
        cast('{{ segment_type }}' as {{ dbt.type_string() }}) as segment_type,
        {% if segment_type == 'overall' -%}
        cast('overall' as {{ dbt.type_string() }}) as segment,
        {%- else -%}
        {{ segment_type }} as segment,
        {%- endif %}
        score,
        churn_probability,
        capacity_share,
        is_label_available,
        is_judged,
        churned,
        days_to_churn
    from scored
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}

),

-- judged once every label of the segment is known: a figure that has appeared does not change
segments as (

    select
        {{ segment_key | join(', ') }},
        count(*) as predictions,
        count(*) filter (where is_judged) as observations,
        count(*) filter (where is_judged and churned = 1) as churned,
        sum(case when is_judged then churn_probability else 0 end) as expected_churners,
        sum(case when is_judged then capacity_share else 0 end) as within_capacity,
        sum(
            case when is_judged then capacity_share * churned else 0 end
        ) as churned_within_capacity,
        sum(
            case
                when is_judged
                    then cast(
                        (churn_probability - churned) * (churn_probability - churned)
                        as decimal(18, 12)
                    )
                else 0
            end
        ) as squared_error
    from segmented
    group by {{ segment_key | join(', ') }}
    having count(*) = count(*) filter (where is_label_available)
        and count(*) filter (where is_judged) > 0

),

judged as (

    select
        segmented.model_name,
        segmented.model_version,
        segmented.as_of_date,
        segmented.segment_type,
        segmented.segment,
        segmented.score,
        segmented.churn_probability,
        segmented.capacity_share,
        segmented.churned,
        segmented.days_to_churn,
        segments.observations
    from segmented
    inner join segments
        on {{ holdfast.equal_columns('segmented', 'segments', segment_key) }}
    where segmented.is_judged

),

thresholds as (

    select
        {{ segment_key | join(', ') }},
        score,
        observations,
        count(*) as customers,
        cast(sum(churned) as bigint) as churned
    from judged
    group by {{ segment_key | join(', ') }}, score, observations

),

cumulated_thresholds as (

    select
        {{ segment_key | join(', ') }},
        observations,
        customers,
        churned,
        cast(sum(customers) over down as bigint) as customers_above,
        cast(sum(churned) over down as bigint) as churned_above
    from thresholds
    window
        down as (
            partition by {{ segment_key | join(', ') }}
            order by score desc nulls last
            rows between unbounded preceding and current row
        )

),

ranking as (

    select
        {{ segment_key | join(', ') }},
        -- churned over all churned is the step in recall, churned_above over customers_above the
        -- precision there
        sum(
            {{ holdfast.quotient('churned * churned_above', 'customers_above', places=9) }}
        ) as precision_gained,
        sum(
            churned * cast(
                {{ holdfast.share_within(
                    '10 * (customers_above - customers)', '10 * customers', 'observations'
                ) }}
                as decimal(18, 12)
            )
        ) as churned_within_10_percent
    from cumulated_thresholds
    group by {{ segment_key | join(', ') }}

),

probabilities as (

    select
        {{ segment_key | join(', ') }},
        churn_probability,
        observations,
        count(*) as customers,
        cast(sum(churned) as bigint) as churned
    from judged
    group by {{ segment_key | join(', ') }}, churn_probability, observations

),

cumulated_probabilities as (

    select
        {{ segment_key | join(', ') }},
        churn_probability,
        observations,
        customers,
        churned,
        cast(
            sum(customers) over (
                partition by {{ segment_key | join(', ') }}
                order by churn_probability asc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) as customers_below
    from probabilities

),

-- ten bins of about equally many, equal probabilities in one bin, as ml.evaluations has it
binned as (

    select
        {{ segment_key | join(', ') }},
        churn_probability,
        customers,
        churned,
        {{ holdfast.divide_integers('10 * customers_below - 1', 'observations') }} as bin
    from cumulated_probabilities

),

bins as (

    select
        {{ segment_key | join(', ') }},
        bin,
        abs(sum(churn_probability * customers) - sum(churned)) as distance
    from binned
    group by {{ segment_key | join(', ') }}, bin

),

calibration as (

    select
        {{ segment_key | join(', ') }},
        sum(distance) as distance
    from bins
    group by {{ segment_key | join(', ') }}

),

days as (

    select
        {{ segment_key | join(', ') }},
        days_to_churn,
        sum(capacity_share) as churners
    from judged
    where churned = 1
        and capacity_share > 0
    group by {{ segment_key | join(', ') }}, days_to_churn

),

cumulated_days as (

    select
        {{ segment_key | join(', ') }},
        days_to_churn,
        2 * sum(churners) over (
            partition by {{ segment_key | join(', ') }}
            order by days_to_churn asc nulls last
            rows between unbounded preceding and current row
        ) - sum(churners) over (partition by {{ segment_key | join(', ') }}) as past_half
    from days

),

-- the median; where exactly half lies on either side, the middle between the two. Shared places
-- are exact to 12 digits.
lead_times as (

    select
        {{ segment_key | join(', ') }},
        (
            min(case when past_half >= -0.000001 then days_to_churn end)
            + min(case when past_half > 0.000001 then days_to_churn end)
        ) as twice_median_days
    from cumulated_days
    group by {{ segment_key | join(', ') }}

),

model_performance as (

    select
        segments.model_name,
        segments.model_version,
        segments.as_of_date,
        segments.segment_type,
        segments.segment,
        model_versions.train_to >= segments.as_of_date as is_seen_in_training,
        segments.predictions,
        segments.observations,
        segments.churned,
        cast(segments.expected_churners as decimal(18, 6)) as expected_churners,
        {{ holdfast.quotient('segments.churned', 'segments.observations') }} as base_rate,
        {{ holdfast.quotient(
            'segments.churned_within_capacity', 'segments.within_capacity'
        ) }} as precision_at_capacity,
        {{ holdfast.quotient(
            'segments.churned_within_capacity', 'segments.churned'
        ) }} as recall_at_capacity,
        {{ holdfast.quotient(
            'segments.churned_within_capacity * segments.observations',
            'segments.within_capacity * segments.churned'
        ) }} as lift_at_capacity,
        {{ holdfast.quotient(
            '10 * ranking.churned_within_10_percent', 'segments.observations'
        ) }} as precision_at_10_percent,
        {{ holdfast.quotient(
            'ranking.churned_within_10_percent', 'segments.churned'
        ) }} as recall_at_10_percent,
        {{ holdfast.quotient(
            '10 * ranking.churned_within_10_percent', 'segments.churned'
        ) }} as lift_at_10_percent,
        {{ holdfast.quotient(
            'ranking.precision_gained', 'segments.churned'
        ) }} as average_precision,
        {{ holdfast.quotient('segments.squared_error', 'segments.observations') }} as brier,
        {{ holdfast.quotient(
            'calibration.distance', 'segments.observations'
        ) }} as calibration_error,
        {{ holdfast.quotient('lead_times.twice_median_days', '2') }} as lead_time_days
    from segments
    inner join ranking
        on {{ holdfast.equal_columns('segments', 'ranking', segment_key) }}
    inner join calibration
        on {{ holdfast.equal_columns('segments', 'calibration', segment_key) }}
    left join lead_times
        on {{ holdfast.equal_columns('segments', 'lead_times', segment_key) }}
    left join model_versions
        on segments.model_name = model_versions.model_name
        and segments.model_version = model_versions.model_version

)

select * from model_performance
