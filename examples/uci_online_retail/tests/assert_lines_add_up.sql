-- A returned row says that the source's lines and their outcomes do not add up, or that a gate counts other orders
-- or other money than the lines that should be in it.
with sides as (

    select
        'lines of the file' as claim,
        (select count(*) from {{ ref('raw_lines') }}) as expected,
        (select sum(line_count) from {{ ref('order_line_intake') }}) as found
    union all
    select
        'orders in' as claim,
        (select count(distinct invoice_id) from {{ ref('order_lines') }} where outcome in ('kept', 'no customer')) as expected,
        (select rows_in from {{ ref('holdfast', 'silver_intake') }} where entity = 'orders') as found
    union all
    select
        'orders in = kept + repeats + rejects' as claim,
        (select rows_in from {{ ref('holdfast', 'silver_intake') }} where entity = 'orders') as expected,
        (select rows_kept + repeats + rejects from {{ ref('holdfast', 'silver_intake') }} where entity = 'orders') as found
    union all
    select
        'orders kept' as claim,
        (select invoice_count from {{ ref('order_line_intake') }} where outcome = 'kept') as expected,
        (select count(*) from {{ ref('holdfast', 'bronze_orders') }}) as found
    union all
    select
        'orders rejected' as claim,
        (select invoice_count from {{ ref('order_line_intake') }} where outcome = 'no customer') as expected,
        (select count(*) from {{ ref('holdfast', 'bronze_rejects') }}) as found
    union all
    select
        'money kept' as claim,
        (select round(amount) from {{ ref('order_line_intake') }} where outcome = 'kept') as expected,
        (select round(sum(amount)) from {{ ref('holdfast', 'bronze_orders') }}) as found

)

select * from sides
where expected is distinct from found
