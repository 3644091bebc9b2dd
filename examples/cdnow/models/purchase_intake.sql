with purchases as (

    select * from {{ ref('purchases') }}

),

kinds as (

    select
        'all' as kind,
        count(*) as line_count,
        count(distinct customer_id) as customer_count,
        cast(sum(cast(dollar_value as decimal(18, 2))) as decimal(18, 2)) as amount
    from purchases
    union all
    select
        'later on the same day' as kind,
        count(*) as line_count,
        count(distinct customer_id) as customer_count,
        cast(sum(cast(dollar_value as decimal(18, 2))) as decimal(18, 2)) as amount
    from purchases
    where number_of_day > 1
    union all
    select
        'equal to another' as kind,
        count(*) as line_count,
        count(distinct customer_id) as customer_count,
        cast(sum(cast(dollar_value as decimal(18, 2))) as decimal(18, 2)) as amount
    from purchases
    where equal_lines > 1
    union all
    select
        'of no value' as kind,
        count(*) as line_count,
        count(distinct customer_id) as customer_count,
        cast(sum(cast(dollar_value as decimal(18, 2))) as decimal(18, 2)) as amount
    from purchases
    where cast(dollar_value as decimal(18, 2)) = 0

)

select * from kinds
