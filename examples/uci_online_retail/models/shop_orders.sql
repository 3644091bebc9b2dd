with order_lines as (

    select * from {{ ref('order_lines') }}
    -- orders without a customer go on to the contract, which keeps them among the rejects
    where outcome in ('kept', 'no customer')

),

orders as (

    select
        invoice_id,
        customer_id,
        is_credit,
        min(invoiced_at) as ordered_at,
        -- 43 invoices were written across a minute's end
        max(invoiced_at) as known_at,
        sum(quantity * unit_price) as amount,
        coalesce(sum(quantity) filter (where line_kind in ('goods', 'manual')), 0) as items
    from order_lines
    group by invoice_id, customer_id, is_credit

),

mapped as (

    {{ holdfast.map_input('orders', 'orders', {
        'order_id': 'invoice_id',
        'customer_id': 'customer_id',
        'ordered_at': 'ordered_at',
        'amount': 'amount',
        'items': 'items',
        'is_return': 'is_credit',
        'known_at': 'known_at',
    }) }}

)

select * from mapped
