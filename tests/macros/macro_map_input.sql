-- A returned row is a raw row that the mapping macro types, fills or reports otherwise than the contract says.
with raw_activity as (

    select
        'whole' as id,
        'c1' as customer,
        '2024-02-29 23:59:59' as happened,
        'login' as what,
        '1.255' as time_spent,
        '2024-03-01' as seen
    union all
    select 'no minutes', 'c1', '2024-02-29', 'login', null, '2024-03-01'
    union all
    select 'a word for minutes', 'c1', '2024-02-29', 'login', 'many', '2024-03-01'
    union all
    select 'no such day', 'c1', '2023-02-29', 'login', '1', '2024-03-01'
    union all
    -- of two mistakes the first column of the contract is named
    select 'two mistakes', 'c1', 'yesterday', 'login', 'many', '2024-03-01'

),

mapped as (

    {{ holdfast.map_input('activity', 'raw_activity', {
        'activity_id': 'id',
        'customer_id': 'upper(customer)',
        'occurred_at': 'happened',
        'action': 'what',
        'minutes': 'time_spent',
        'known_at': 'seen',
    }) }}

),

expected as (

    select
        'whole' as activity_id,
        timestamp '2024-02-29 23:59:59' as occurred_at,
        cast(1.26 as decimal(18, 2)) as minutes,
        cast(null as {{ dbt.type_string() }}) as unparseable,
        'activity_id=whole; customer_id=C1; occurred_at=2024-02-29 23:59:59; action=login; minutes=1.255; known_at=2024-03-01' as row_text
    union all
    select
        'no minutes',
        timestamp '2024-02-29 00:00:00',
        null,
        null,
        'activity_id=no minutes; customer_id=C1; occurred_at=2024-02-29; action=login; minutes=; known_at=2024-03-01'
    union all
    select
        'a word for minutes',
        timestamp '2024-02-29 00:00:00',
        null,
        'minutes',
        'activity_id=a word for minutes; customer_id=C1; occurred_at=2024-02-29; action=login; minutes=many; known_at=2024-03-01'
    union all
    select
        'no such day',
        null,
        cast(1 as decimal(18, 2)),
        'occurred_at',
        'activity_id=no such day; customer_id=C1; occurred_at=2023-02-29; action=login; minutes=1; known_at=2024-03-01'
    union all
    select
        'two mistakes',
        null,
        null,
        'occurred_at',
        'activity_id=two mistakes; customer_id=C1; occurred_at=yesterday; action=login; minutes=many; known_at=2024-03-01'

)

select
    mapped.*,
    expected.activity_id as expected_activity_id
from mapped
full outer join expected
    on mapped.activity_id = expected.activity_id
where mapped.activity_id is distinct from expected.activity_id
    or mapped.customer_id is distinct from 'C1'
    or mapped.occurred_at is distinct from expected.occurred_at
    or mapped.minutes is distinct from expected.minutes
    or mapped.unparseable is distinct from expected.unparseable
    or mapped.row_text is distinct from expected.row_text
    -- not mapped: the contract's default, or null
    or mapped.quantity is distinct from 1
    or mapped.feature is not null
    or mapped.user_id is not null
    or mapped.known_at is distinct from timestamp '2024-03-01 00:00:00'
