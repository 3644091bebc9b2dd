with purchases as (

    select * from {{ ref('purchases') }}

),

customers as (

    select
        customer_id,
        min(purchased_at) as first_purchased_at
    from purchases
    group by customer_id

),

mapped as (

    {{ holdfast.map_input('customers', 'customers', {
        'customer_id': 'customer_id',
        'signed_up_at': 'first_purchased_at',
        'known_at': 'first_purchased_at',
    }) }}

)

select * from mapped
