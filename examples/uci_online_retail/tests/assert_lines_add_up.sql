-- A returned row says that lines of the source and their outcomes do not add up, or that bronze holds
-- other orders or other money than the lines that should be in it.
with lines as (

    select count(*) as line_count from {{ ref('raw_lines') }}

),

outcomes as (

    select
        sum(line_count) as line_count,
        sum(invoice_count) filter (where outcome = 'kept') as orders_kept,
        sum(invoice_count) filter (where outcome = 'no customer') as orders_rejected,
        sum(amount) filter (where outcome = 'kept') as amount_kept
    from {{ ref('order_line_intake') }}

),

contract_intake as (

    select * from {{ ref('holdfast', 'silver_intake') }}
    where entity = 'orders'

),

bronze_orders as (

    select
        count(*) as orders_kept,
        sum(amount) as amount_kept
    from {{ ref('holdfast', 'bronze_orders') }}

),

bronze_rejects as (

    select count(*) as orders_rejected from {{ ref('holdfast', 'bronze_rejects') }}

),

sides as (

    select
        'lines of the file' as claim,
        lines.line_count as expected,
        outcomes.line_count as found
    from lines cross join outcomes
    union all
    select
        'orders in' as claim,
        outcomes.orders_kept + outcomes.orders_rejected as expected,
        contract_intake.rows_in as found
    from outcomes cross join contract_intake
    union all
    select
        'orders in = kept + repeats + rejects' as claim,
        contract_intake.rows_in as expected,
        contract_intake.rows_kept + contract_intake.repeats + contract_intake.rejects as found
    from contract_intake
    union all
    select
        'orders kept' as claim,
        outcomes.orders_kept as expected,
        bronze_orders.orders_kept as found
    from outcomes cross join bronze_orders
    union all
    select
        'orders rejected' as claim,
        outcomes.orders_rejected as expected,
        bronze_rejects.orders_rejected as found
    from outcomes cross join bronze_rejects
    union all
    -- in pounds: four prices have a tenth of a penny
    select
        'money kept' as claim,
        round(outcomes.amount_kept) as expected,
        round(bronze_orders.amount_kept) as found
    from outcomes cross join bronze_orders

)

select * from sides
where expected is distinct from found
