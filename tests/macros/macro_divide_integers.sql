-- A returned row is a division of integers that is not exact where a double would not be.
with cases as (

    select
        'whole' as case_name,
        {{ holdfast.divide_integers('7', '2') }} as actual,
        3 as expected
    union all
    select 'sums are bracketed', {{ holdfast.divide_integers('3 + 4', '1 + 1') }}, 3
    union all
    select 'beyond a double', {{ holdfast.divide_integers('9007199254740993', '1') }}, 9007199254740993

)

select * from cases
where actual is distinct from expected
