with order_lines as (

    select * from {{ ref('order_lines') }}
    where customer_id is not null

),

invoices as (

    -- an invoice has one customer and one country (tested)
    select
        invoice_id,
        customer_id,
        country,
        min(invoiced_at) as invoiced_at
    from order_lines
    group by invoice_id, customer_id, country

),

in_order as (

    select
        customer_id,
        country,
        invoiced_at,
        min(invoiced_at) over (partition by customer_id) as first_invoiced_at,
        lag(country) over (
            partition by customer_id
            order by invoiced_at asc nulls last, invoice_id asc nulls last
        ) as country_before
    from invoices

),

-- a new version wherever the country changes, known from the invoice that shows it
versions as (

    select * from in_order
    where country_before is distinct from country

),

mapped as (

    {{ holdfast.map_input('customers', 'versions', {
        'customer_id': 'customer_id',
        'signed_up_at': 'first_invoiced_at',
        'country': 'country',
        'known_at': 'invoiced_at',
    }) }}

)

select * from mapped
