-- A returned row is a raw row of which the contract says another reason than expected, or none, or one too many.
{%- set valid = {
    'customers': {'customer_id': "'c'", 'signed_up_at': "'2024-02-29 12:00:00'", 'known_at': "'2024-02-29 12:00:00'"},
    'subscriptions': {
        'subscription_id': "'s'", 'customer_id': "'c'", 'started_at': "'2024-02-01'", 'known_at': "'2024-02-29 12:00:00'"
    },
    'activity': {
        'activity_id': "'a'", 'customer_id': "'c'", 'occurred_at': "'2024-02-29 12:00:00'", 'action': "'login'",
        'quantity': "1", 'known_at': "'2024-02-29 12:00:00'"
    },
    'tickets': {'ticket_id': "'t'", 'customer_id': "'c'", 'opened_at': "'2024-02-01'", 'known_at': "'2024-02-29 12:00:00'"},
    'invoices': {
        'invoice_id': "'i'", 'customer_id': "'c'", 'issued_at': "'2024-02-01'", 'amount': "-1", 'known_at': "'2024-02-29 12:00:00'"
    },
    'orders': {
        'order_id': "'o'", 'customer_id': "'c'", 'ordered_at': "'2024-02-01'", 'amount': "-1", 'known_at': "'2024-02-29 12:00:00'"
    },
    'touches': {'touch_id': "'w'", 'customer_id': "'c'", 'sent_at': "'2024-02-01'", 'known_at': "'2024-02-29 12:00:00'"},
} %}
{#- entity, what differs from a valid row, the reason #}
{%- set cases = [] %}
{%- for entity in valid %}
    {%- do cases.append([entity, {}, none]) %}
    {%- for column in valid[entity] %}
        {%- do cases.append([entity, {column: 'null'}, 'missing ' ~ column]) %}
    {%- endfor %}
    {%- do cases.append([entity, {'unparseable': "'known_at'", 'known_at': 'null'}, 'unparseable known_at']) %}
{%- endfor %}
{%- set late = "'2024-02-29 12:00:01'" %}
{%- for entity, column in [
    ('customers', 'signed_up_at'), ('activity', 'occurred_at'), ('subscriptions', 'cancelled_at'), ('tickets', 'opened_at'),
    ('tickets', 'first_response_at'), ('tickets', 'resolved_at'), ('tickets', 'escalated_at'), ('tickets', 'csat_at'),
    ('invoices', 'issued_at'), ('invoices', 'paid_at'), ('invoices', 'failed_at'), ('invoices', 'refunded_at'),
    ('orders', 'ordered_at'), ('touches', 'sent_at'), ('touches', 'opened_at'), ('touches', 'clicked_at'), ('touches', 'accepted_at'),
] %}
    {%- do cases.append([entity, {column: late}, column ~ ' is later than known_at']) %}
    {%- do cases.append([entity, {column: "'2024-02-29 12:00:00'"}, none]) %}
{%- endfor %}
{#- what is planned may lie ahead #}
{%- for entity, column in [
    ('subscriptions', 'started_at'), ('subscriptions', 'renews_at'), ('subscriptions', 'ended_at'), ('invoices', 'due_at')
] %}
    {%- do cases.append([entity, {column: "'2030-01-01'"}, none]) %}
{%- endfor %}
{%- for entity, column, least, below in [
    ('activity', 'quantity', '1', '0'), ('activity', 'minutes', '0', '-0.01'), ('subscriptions', 'mrr', '0', '-0.01'),
    ('subscriptions', 'seats', '0', '-1'), ('subscriptions', 'discount_ratio', '0', '-0.000001'),
    ('subscriptions', 'billing_period_months', '1', '0'), ('tickets', 'csat_score', '1', '0'),
    ('invoices', 'refunded_amount', '0', '-0.01'), ('touches', 'cost', '0', '-0.01'),
] %}
    {%- do cases.append([entity, {column: least}, none]) %}
    {%- do cases.append([entity, {column: below}, column ~ ' is below ' ~ least]) %}
{%- endfor %}
{%- for entity, column, most, above in [('subscriptions', 'discount_ratio', '1', '1.000001'), ('tickets', 'csat_score', '5', '6')] %}
    {%- do cases.append([entity, {column: most}, none]) %}
    {%- do cases.append([entity, {column: above}, column ~ ' is above ' ~ most]) %}
{%- endfor %}
with judged as (

    {% for entity, changes, reason in cases -%}
    select
        '{{ entity }} {% for column in changes %} {{ column }}={{ changes[column] | replace("'", "") }}{% endfor %}' as case_name,
        {{ holdfast.reject_reason(entity) }} as actual,
        {% if reason is none %}cast(null as {{ dbt.type_string() }}){% else %}'{{ reason }}'{% endif %} as expected
    from (
        select
            {%- for column in holdfast.contract(entity).columns %}
            cast({{ changes.get(column.name, valid[entity].get(column.name, 'null')) }} as {{ holdfast.type_of(column.data_type) }}) as {{ column.name }},
            {%- endfor %}
            cast({{ changes.get('unparseable', 'null') }} as {{ dbt.type_string() }}) as unparseable
    ) as raw_row
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from judged
where actual is distinct from expected
