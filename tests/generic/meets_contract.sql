{% test meets_contract(model) %}
    {#- A returned row breaks the input contract, with the reason why. -#}
    {%- set entity = model.identifier -%}
    select broken.* from (
        select
            {{ holdfast.record_key(entity) }} as record_key,
            {{ holdfast.reject_reason(entity, has_unparseable=false) }} as reason
        from {{ model }}
    ) as broken
    where broken.reason is not null
{% endtest %}
