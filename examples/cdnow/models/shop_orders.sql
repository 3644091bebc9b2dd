with purchases as (

    select * from {{ ref('purchases') }}

),

orders as (

    select
        customer_id || '-' || strftime(purchased_at, '%Y%m%d') || '-' || number_of_day as order_id,
        customer_id,
        purchased_at,
        number_of_cds,
        dollar_value
    from purchases

),

mapped as (

    {{ holdfast.map_input('orders', 'orders', {
        'order_id': 'order_id',
        'customer_id': 'customer_id',
        'ordered_at': 'purchased_at',
        'amount': 'dollar_value',
        'items': 'number_of_cds',
        'is_return': 'false',
        'known_at': 'purchased_at',
    }) }}

)

select * from mapped
