{{ config(materialized='table') }}

with clock as (

    select
        cast(data_from as date) as first_date,
        cast(data_until as date) as last_date,
        data_until
    from {{ ref('silver_clock') }}

),

arrivals as (

    select * from {{ ref('silver_arrivals') }}

),

cohorts as (

    select * from {{ ref('cohorts') }}

),

predictions as (

    select * from {{ source('ml', 'predictions') }}

),

calendar as (

    {{ holdfast.series_of_days('first_date', 'last_date') }} from clock

),

candidates as (

    select
        calendar_date as as_of_date,
        true as is_grid
    from calendar
    where {% if var('cadence') == 'day' -%}
        true
        {%- elif var('cadence') == 'week' -%}
        mod({{ holdfast.days_between("date '" ~ var('cadence_anchor') ~ "'", 'calendar_date') }}, 7) = 0
        {%- elif var('cadence') == 'month' -%}
        extract(day from calendar_date) = extract(day from date '{{ var("cadence_anchor") }}')
        {%- else -%}
        {{ exceptions.raise_compiler_error("The var cadence is month, week or day; got '" ~ var('cadence') ~ "'.") }}
        {%- endif %}
    union all
    -- the newest midnight, for scoring
    select
        last_date as as_of_date,
        false as is_grid
    from clock
    union all
    -- a date that was scored stays, so that its predictions can be judged when the labels come
    select
        as_of_date,
        false as is_grid
    from predictions
    group by as_of_date
    {%- for date in var('extra_as_of_dates') + var('only_as_of_dates') %}
    union all
    select
        cast('{{ date }}' as date) as as_of_date,
        false as is_grid
    {%- endfor %}

),

dates as (

    select
        candidates.as_of_date,
        cast(max(cast(candidates.is_grid as integer)) as boolean) as is_grid
    from candidates
    cross join clock
    where candidates.as_of_date > clock.first_date
        and candidates.as_of_date <= clock.last_date
        {%- if var('only_as_of_dates') %}
        and candidates.as_of_date in (
            {%- for date in var('only_as_of_dates') -%}
            cast('{{ date }}' as date){{ ', ' if not loop.last }}
            {%- endfor -%}
        )
        {%- endif %}
    group by candidates.as_of_date

),

label_moments as (

    -- cohorts may share a horizon
    select distinct
        dates.as_of_date,
        cohorts.horizon_days,
        {{ holdfast.label_known_at('dates.as_of_date', 'cohorts.horizon_days') }} as label_known_at
    from dates
    cross join cohorts

),

moments as (

    select as_of_date as moment from dates
    union distinct
    select label_known_at as moment from label_moments

),

arrived_days as (

    select
        known_date,
        sum({{ holdfast.hash_number("md5(entity || '-' || fingerprint)") }}) as arrived
    from arrivals
    group by known_date

),

visible as (

    select
        moments.moment,
        cast(sum(arrived_days.arrived) as {{ dbt.type_string() }}) as fingerprint
    from moments
    inner join arrived_days
        on {{ holdfast.is_visible('arrived_days.known_date', 'moments.moment') }}
    group by moments.moment

),

labels as (

    select
        label_moments.as_of_date,
        sum(
            case
                when label_moments.label_known_at <= clock.data_until
                    then {{ holdfast.hash_number("md5(cast(label_moments.horizon_days as " ~ dbt.type_string() ~ ") || '-' || visible.fingerprint)") }}
                else label_moments.horizon_days
            end
        ) as fingerprint
    from label_moments
    cross join clock
    left join visible
        on label_moments.label_known_at = visible.moment
    group by label_moments.as_of_date

),

as_of_dates as (

    select
        dates.as_of_date,
        dates.is_grid,
        md5(visible.fingerprint) as visible_fingerprint,
        md5(visible.fingerprint || '-' || cast(labels.fingerprint as {{ dbt.type_string() }})) as label_fingerprint
    from dates
    inner join visible
        on dates.as_of_date = visible.moment
    inner join labels
        on dates.as_of_date = labels.as_of_date

)

select * from as_of_dates
