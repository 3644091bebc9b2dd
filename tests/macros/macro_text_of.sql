-- A returned row is a value that `text_of` writes in another way than every engine should, so that fingerprints would differ.
with cases as (

    select
        'a moment' as case_name,
        {{ holdfast.text_of("timestamp '2024-03-01 00:00:00'", 'timestamp') }} as actual,
        '1709251200000000' as expected
    union all
    select
        'microseconds',
        {{ holdfast.text_of("timestamp '2024-02-29 23:59:59.000001'", 'timestamp') }},
        '1709251199000001'
    union all
    select 'before 1970', {{ holdfast.text_of("timestamp '1969-12-31 23:59:59'", 'timestamp') }}, '-1000000'
    union all
    select 'a leap day', {{ holdfast.text_of("date '2024-02-29'", 'date') }}, '2024-02-29'
    union all
    select 'money keeps its places', {{ holdfast.text_of('cast(1.5 as decimal(18, 2))', 'decimal(18,2)') }}, '1.50'
    union all
    select 'a ratio keeps its places', {{ holdfast.text_of('cast(-0.5 as decimal(18, 6))', 'decimal(18,6)') }}, '-0.500000'
    union all
    select 'an integer', {{ holdfast.text_of('cast(-7 as integer)', 'integer') }}, '-7'
    union all
    select 'a flag', {{ holdfast.text_of('cast(1 = 1 as boolean)', 'boolean') }}, 'true'
    union all
    select 'a text', {{ holdfast.text_of("'Ünïcode'", 'string') }}, 'Ünïcode'
    union all
    select 'an empty text', {{ holdfast.text_of("''", 'string') }}, ''
    union all
    select 'an unknown moment', {{ holdfast.text_of('cast(null as timestamp)', 'timestamp') }}, null

)

select * from cases
where actual is distinct from expected
