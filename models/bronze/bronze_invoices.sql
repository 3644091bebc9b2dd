{{ holdfast.bronze_rows('invoices') }}
