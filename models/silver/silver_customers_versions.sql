{{ holdfast.versions('customers') }}
