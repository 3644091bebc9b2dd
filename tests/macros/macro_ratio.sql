-- A returned row is a quotient that `ratio` does not give as decimal(18,6), rounded half away from zero.
with cases as (

    select
        'a third' as case_name,
        {{ holdfast.ratio('1', '3') }} as actual,
        cast(0.333333 as decimal(18, 6)) as expected
    union all
    select 'two thirds', {{ holdfast.ratio('2', '3') }}, cast(0.666667 as decimal(18, 6))
    union all
    select 'half of the last place, up', {{ holdfast.ratio('1', '2000000') }}, cast(0.000001 as decimal(18, 6))
    union all
    select 'half of the last place, down below zero', {{ holdfast.ratio('-1', '2000000') }}, cast(-0.000001 as decimal(18, 6))
    union all
    select 'less than half of the last place', {{ holdfast.ratio('1', '2000001') }}, cast(0 as decimal(18, 6))
    union all
    select 'a negative denominator', {{ holdfast.ratio('2', '-3') }}, cast(-0.666667 as decimal(18, 6))
    union all
    select 'both negative', {{ holdfast.ratio('-2', '-3') }}, cast(0.666667 as decimal(18, 6))
    union all
    select 'nothing of something', {{ holdfast.ratio('0', '7') }}, cast(0 as decimal(18, 6))
    union all
    select 'something of nothing', {{ holdfast.ratio('7', '0') }}, cast(null as decimal(18, 6))
    union all
    select 'nothing of nothing', {{ holdfast.ratio('0', '0') }}, cast(null as decimal(18, 6))
    union all
    select 'null above', {{ holdfast.ratio('cast(null as integer)', '3') }}, cast(null as decimal(18, 6))
    union all
    select 'null below', {{ holdfast.ratio('3', 'cast(null as integer)') }}, cast(null as decimal(18, 6))
    union all
    select 'hundredths', {{ holdfast.ratio('0.01', '0.03') }}, cast(0.333333 as decimal(18, 6))
    union all
    select 'a sum as numerator', {{ holdfast.ratio('1 + 1', '2 + 2') }}, cast(0.5 as decimal(18, 6))
    union all
    -- a double would lose the last places
    select 'large money', {{ holdfast.ratio('999999999999.99', '1') }}, cast(999999999999.99 as decimal(18, 6))

)

select * from cases
where actual is distinct from expected
