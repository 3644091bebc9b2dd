{{ holdfast.versions('touches') }}
