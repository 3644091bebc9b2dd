with order_lines as (

    select * from {{ ref('order_lines') }}

),

intake as (

    select
        outcome,
        count(*) as line_count,
        count(distinct invoice_id) as invoice_count,
        cast(sum(quantity * unit_price) as decimal(18, 2)) as amount
    from order_lines
    group by outcome
    union all
    select
        'exact repeat' as outcome,
        cast(sum(copies - 1) as bigint) as line_count,
        count(distinct invoice_id) as invoice_count,
        cast(sum((copies - 1) * quantity * unit_price) as decimal(18, 2)) as amount
    from order_lines
    where copies > 1

)

select * from intake
