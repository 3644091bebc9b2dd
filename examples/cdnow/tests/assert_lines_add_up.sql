-- A returned row says that a line of the source is no order in bronze, or that bronze holds other orders, other money or
-- other customers than the file.
with lines as (

    select count(*) as line_count from {{ ref('raw_lines') }}

),

intake as (

    select * from {{ ref('purchase_intake') }}
    where kind = 'all'

),

contract_intake as (

    select * from {{ ref('holdfast', 'silver_intake') }}
    where entity = 'orders'

),

bronze_orders as (

    select
        count(*) as orders_kept,
        count(distinct customer_id) as customers,
        sum(amount) as amount
    from {{ ref('holdfast', 'bronze_orders') }}

),

sides as (

    select
        'lines of the file = orders in' as claim,
        cast(lines.line_count as decimal(18, 2)) as expected,
        cast(contract_intake.rows_in as decimal(18, 2)) as found
    from lines cross join contract_intake
    union all
    select
        'orders in = orders kept: no repeat and no reject' as claim,
        contract_intake.rows_in as expected,
        bronze_orders.orders_kept as found
    from contract_intake cross join bronze_orders
    union all
    select
        'money' as claim,
        intake.amount as expected,
        bronze_orders.amount as found
    from intake cross join bronze_orders
    union all
    select
        'customers' as claim,
        intake.customer_count as expected,
        bronze_orders.customers as found
    from intake cross join bronze_orders

)

select * from sides
where expected is distinct from found
