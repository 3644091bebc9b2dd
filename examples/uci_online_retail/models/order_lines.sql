with raw_lines as (

    select * from {{ ref('raw_lines') }}

),

line_kinds as (

    select * from {{ ref('line_kinds') }}

),

-- a line carries no number of its own: equal in every column is all that can be said
distinct_lines as (

    select
        InvoiceNo as invoice_id,
        upper(trim(StockCode)) as stock_code,
        Description as description,
        try_cast(Quantity as integer) as quantity,
        try_cast(UnitPrice as decimal(18, 3)) as unit_price,
        try_cast(InvoiceDate as timestamp) as invoiced_at,
        nullif(trim(CustomerID), '') as customer_id,
        Country as country,
        count(*) as copies
    from raw_lines
    group by
        InvoiceNo,
        StockCode,
        Description,
        Quantity,
        UnitPrice,
        InvoiceDate,
        CustomerID,
        Country

),

typed as (

    select
        distinct_lines.*,
        distinct_lines.invoice_id like 'C%' as is_credit,
        coalesce(line_kinds.line_kind, 'goods') as line_kind
    from distinct_lines
    left join line_kinds
        on distinct_lines.stock_code = line_kinds.stock_code

),

invoices as (

    select
        invoice_id,
        -- a credit gives money back, whatever for; a sale is a purchase where something was bought
        bool_or(is_credit or line_kind in ('goods', 'manual')) as is_purchase_or_credit
    from typed
    group by invoice_id

),

order_lines as (

    select
        typed.*,
        case
            when typed.customer_id is null then 'no customer'
            when typed.line_kind = 'fee' then 'fee'
            when not invoices.is_purchase_or_credit then 'postage only'
            else 'kept'
        end as outcome
    from typed
    left join invoices
        on typed.invoice_id = invoices.invoice_id

)

select * from order_lines
