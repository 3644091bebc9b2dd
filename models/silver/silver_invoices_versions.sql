{{ holdfast.versions('invoices') }}
