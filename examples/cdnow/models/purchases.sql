with raw_lines as (

    select * from {{ ref('raw_lines') }}

),

split as (

    select regexp_split_to_array(trim(line, ' ' || chr(13)), ' +') as fields
    from raw_lines

),

named as (

    select
        fields[1] as customer_id,
        try_strptime(fields[2], '%Y%m%d') as purchased_at,
        fields[3] as number_of_cds,
        fields[4] as dollar_value,
        len(fields) = 4 as is_complete
    from split

),

-- a line carries no number: of those of one customer and day, equal lines may take each other's, and nothing changes
purchases as (

    select
        *,
        row_number() over (
            partition by customer_id, purchased_at
            order by
                try_cast(number_of_cds as integer) asc nulls last,
                try_cast(dollar_value as decimal(18, 2)) asc nulls last,
                number_of_cds asc nulls last,
                dollar_value asc nulls last
        ) as number_of_day,
        count(*) over (
            partition by customer_id, purchased_at, number_of_cds, dollar_value
        ) as equal_lines
    from named

)

select * from purchases
