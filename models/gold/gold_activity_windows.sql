{{ config(observation_bytes=6000, input_bytes={'silver_daily_activity': 80}) }}

{#-
    A row of the ledger counts in a window at several as-of dates, and in each at another age. Joined row by row that is a
    dozen rows for each. So rows are added up to cells first, which no window of no date cuts: a cell lies between two
    days at which a window begins, and all of it became visible at the same date. There is a fine cut for the windows up to
    `near_days`, and a coarse one for the longer ones, which begin on few days.
-#}
{%- set reach_days = 730 %}
{%- set near_days = 30 %}
{%- set measures = ['active_days', 'actions', 'logins', 'feature_uses', 'minutes'] %}
{%- set moments = ['last_activity_date', 'last_login_date', 'last_feature_use_date'] %}
{%- set types = {'active_days': 'bigint', 'minutes': 'decimal(18, 2)'} %}
{%- set windows = (var('windows') + [7, 14, 21, 28, near_days, 60]) | unique | sort %}
{%- set missing = holdfast.missing_slices() %}

with observations as (

    select
        *,
        -- numbers are much cheaper keys to aggregate by than a text and a date
        row_number() over (order by as_of_date asc nulls last, customer_id asc nulls last) as observation_number,
        dense_rank() over (order by customer_id asc nulls last) as customer_number
    from {{ holdfast.observations_to_build(missing=missing) }} as to_build
    where {{ holdfast.in_part('customer_id') }}

),

customers as (

    select
        customer_id,
        min(customer_number) as customer_number
    from observations
    group by customer_id

),

daily_activity as (

    select * from {{ ref('silver_daily_activity') }}
    where {{ holdfast.within_reach('activity_date', missing, reach_days) }}
        and {{ holdfast.in_part('customer_id') }}

),

known_late as (

    select
        customer_id,
        activity_date,
        known_date
    from daily_activity
    where known_date > activity_date

),

known_again as (

    -- the parts of a day that we learned of later than of its first part: few, for nothing is known before it happens; a day
    -- in three parts has two earlier ones for its last
    select distinct
        known_late.customer_id,
        known_late.activity_date,
        known_late.known_date
    from known_late
    inner join daily_activity as known_before
        on known_late.customer_id = known_before.customer_id
        and known_late.activity_date = known_before.activity_date
        and known_late.known_date > known_before.known_date

),

counted_days as (

    -- a day of which we learned in parts is one active day, from when we first knew of it
    select
        customer_id,
        activity_date,
        known_date,
        1 as active_days,
        {%- for measure in measures[1:] %}
        {{ measure }}{{ "," if not loop.last }}
        {%- endfor %}
    from daily_activity
    union all
    select
        customer_id,
        activity_date,
        known_date,
        -1 as active_days,
        {%- for measure in measures[1:] %}
        0 as {{ measure }}{{ "," if not loop.last }}
        {%- endfor %}
    from known_again

),

dates as (

    select
        as_of_date,
        observation_days
    from observations
    group by as_of_date, observation_days

),

cuts as (

    -- where a window begins or ends
    {%- for days in [0] + windows %}
    select
        {{ holdfast.add_days('as_of_date', -days) }} as cut_date,
        {{ 'true' if days == 0 or days >= near_days else 'false' }} as is_far
    from dates
    union all
    {%- endfor %}
    select
        {{ holdfast.add_days('as_of_date', '-observation_days') }} as cut_date,
        observation_days >= {{ near_days }} as is_far
    from dates

),

calendar_edges as (

    select
        {{ holdfast.add_days('min(as_of_date)', -reach_days) }} as first_date,
        max(as_of_date) as last_date
    from dates

),

calendar as (

    {{ holdfast.series_of_days('first_date', 'last_date') }} from calendar_edges

),

seen_from as (

    select
        calendar.calendar_date,
        min(dates.as_of_date) as as_of_date
    from calendar
    inner join dates
        on {{ holdfast.is_visible('calendar.calendar_date', 'dates.as_of_date') }}
    group by calendar.calendar_date

),

cells_of_days as (

    select
        calendar.calendar_date,
        max(cuts.cut_date) as near_date,
        max(cuts.cut_date) filter (where cuts.is_far) as far_date
    from calendar
    left join cuts
        on calendar.calendar_date >= cuts.cut_date
    group by calendar.calendar_date

),

customer_cells as (

    select
        counted_days.customer_id,
        seen_from.as_of_date as seen_from,
        cells_of_days.near_date,
        cells_of_days.far_date,
        {%- for measure in measures %}
        cast(sum(counted_days.{{ measure }}) as {{ types.get(measure, 'bigint') }}) as {{ measure }},
        {%- endfor %}
        max(counted_days.activity_date) as last_activity_date,
        max(counted_days.activity_date) filter (where counted_days.logins > 0) as last_login_date,
        max(counted_days.activity_date) filter (where counted_days.feature_uses > 0) as last_feature_use_date
    from counted_days
    inner join cells_of_days
        on counted_days.activity_date = cells_of_days.calendar_date
    inner join seen_from
        on counted_days.known_date = seen_from.calendar_date
    group by
        counted_days.customer_id,
        seen_from.as_of_date,
        cells_of_days.near_date,
        cells_of_days.far_date

),

cells as (

    select
        customers.customer_number,
        customer_cells.*
    from customer_cells
    inner join customers
        on customer_cells.customer_id = customers.customer_id

),

far_cells as (

    select
        customer_number,
        seen_from,
        far_date,
        {%- for measure in measures %}
        cast(sum({{ measure }}) as {{ types.get(measure, 'bigint') }}) as {{ measure }}{{ "," if not loop.last }}
        {%- endfor %}
    from cells
    group by customer_number, seen_from, far_date

),

near_sums as (

    select
        observations.observation_number,
        {%- for measure in measures %}
        {%- for days in windows if days <= near_days %}
        sum(cells.{{ measure }}) filter (
            where cells.near_date >= {{ holdfast.add_days('observations.as_of_date', -days) }}
        ) as {{ measure }}_{{ days }}d,
        {%- endfor %}
        sum(cells.{{ measure }}) filter (
            where cells.near_date >= {{ holdfast.add_days('observations.as_of_date', '-observations.observation_days') }}
        ) as {{ measure }}_obs{{ "," if not loop.last }}
        {%- endfor %}
    from observations
    inner join cells
        on observations.customer_number = cells.customer_number
        and observations.as_of_date >= cells.seen_from
        and {{ holdfast.in_window('cells.near_date', 'observations.as_of_date', near_days) }}
    group by observations.observation_number

),

far_sums as (

    select
        observations.observation_number,
        {%- for measure in measures %}
        {%- for days in windows if days > near_days %}
        sum(cells.{{ measure }}) filter (
            where cells.far_date >= {{ holdfast.add_days('observations.as_of_date', -days) }}
        ) as {{ measure }}_{{ days }}d,
        {%- endfor %}
        sum(cells.{{ measure }}) filter (
            where cells.far_date >= {{ holdfast.add_days('observations.as_of_date', '-observations.observation_days') }}
        ) as {{ measure }}_obs{{ "," if not loop.last }}
        {%- endfor %}
    from observations
    inner join far_cells as cells
        on observations.customer_number = cells.customer_number
        and observations.as_of_date >= cells.seen_from
        and {{ holdfast.in_window('cells.far_date', 'observations.as_of_date', windows | max) }}
        and cells.far_date < {{ holdfast.add_days('observations.as_of_date', -near_days) }}
    group by observations.observation_number

),

visible_moments as (

    select
        customer_number,
        seen_from as as_of_date,
        {%- for moment in moments %}
        max({{ moment }}) as {{ moment }},
        {%- endfor %}
        cast(null as bigint) as observation_number
    from cells
    group by customer_number, seen_from
    union all
    select
        customer_number,
        as_of_date,
        {%- for moment in moments %}
        cast(null as date) as {{ moment }},
        {%- endfor %}
        observation_number
    from observations

),

last_moments as (

    select
        observation_number,
        {%- for moment in moments %}
        max({{ moment }}) over (
            partition by customer_number
            order by as_of_date asc nulls last
            range between unbounded preceding and current row
        ) as {{ moment }}{{ "," if not loop.last }}
        {%- endfor %}
    from visible_moments

),

activity_windows as (

    select
        observations.customer_id,
        observations.as_of_date,
        {%- for measure in measures %}
        {%- set type = 'integer' if measure == 'active_days' else types.get(measure, 'bigint') %}
        {%- for days in windows %}
        {%- set near_column = measure ~ "_" ~ [days, near_days] | min ~ "d" %}
        cast(coalesce(near_sums.{{ near_column }}, 0)
            {%- if days > near_days %} + coalesce(far_sums.{{ measure }}_{{ days }}d, 0){% endif %} as {{ type }}) as {{ measure }}_{{ days }}d,
        {%- endfor %}
        cast(coalesce(near_sums.{{ measure }}_obs, 0) + coalesce(far_sums.{{ measure }}_obs, 0) as {{ type }}) as {{ measure }}_obs,
        {%- endfor %}
        {%- for moment in moments %}
        case
            when {{ holdfast.in_window('last_moments.' ~ moment, 'observations.as_of_date', reach_days) }}
                then last_moments.{{ moment }}
        end as {{ moment }},
        {%- endfor %}
        observations.built_from
    from observations
    inner join last_moments
        on observations.observation_number = last_moments.observation_number
    left join near_sums
        on observations.observation_number = near_sums.observation_number
    left join far_sums
        on observations.observation_number = far_sums.observation_number

)

select * from activity_windows
