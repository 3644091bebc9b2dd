{{ holdfast.versions('subscriptions') }}
