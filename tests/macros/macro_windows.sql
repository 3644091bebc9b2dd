-- A returned row is a window of features that is missing, or that the var `windows` does not ask for.
{%- set windows = holdfast.windows() %}
with actual as (

    {% for window in windows -%}
    select
        '{{ window.suffix }}' as suffix,
        '{{ window.days }}' as days
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

expected as (

    {% for days in var('windows') -%}
    select
        '{{ days }}d' as suffix,
        '{{ days }}' as days
    union all
    {% endfor -%}
    select
        'obs' as suffix,
        'observations.observation_days' as days

)

select
    actual.suffix as actual_suffix,
    expected.suffix as expected_suffix
from actual
full outer join expected
    on actual.suffix = expected.suffix
    and actual.days = expected.days
where actual.suffix is distinct from expected.suffix
