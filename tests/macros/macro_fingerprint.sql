-- A returned row is a pair of row sets whose fingerprints agree and should not, or differ and should not.
{%- set columns = [{'name': 'word', 'data_type': 'string'}, {'name': 'other', 'data_type': 'string'}] %}
with sets as (

    select 'base' as set_name, 1 as place, 'a' as word, 'b' as other
    union all
    select 'base', 2, 'c', null
    union all
    select 'turned round', 2, 'a', 'b'
    union all
    select 'turned round', 1, 'c', null
    union all
    select 'one said twice', 1, 'a', 'b'
    union all
    select 'one said twice', 2, 'c', null
    union all
    select 'one said twice', 3, 'c', null
    union all
    select 'one missing', 1, 'a', 'b'
    union all
    select 'empty, not unknown', 1, 'a', 'b'
    union all
    select 'empty, not unknown', 2, 'c', ''
    union all
    -- the same letters in other cells
    select 'values moved', 1, 'ab', ''
    union all
    select 'values moved', 2, 'c', null

),

fingerprints as (

    select
        set_name,
        {{ holdfast.fingerprint(columns) }} as fingerprint
    from (
        select * from sets
        order by set_name asc nulls last, place asc nulls last
    ) as ordered_sets
    group by set_name

),

compared as (

    select
        fingerprints.set_name,
        fingerprints.fingerprint = base.fingerprint as actual,
        fingerprints.set_name in ('base', 'turned round') as expected
    from fingerprints
    inner join fingerprints as base
        on base.set_name = 'base'

)

select * from compared
where actual is distinct from expected
union all
-- no rows at all have a fingerprint too
select
    'no rows' as set_name,
    nothing.fingerprint is not null as actual,
    true as expected
from (
    select {{ holdfast.fingerprint(columns) }} as fingerprint from sets
    where set_name = 'no such set'
) as nothing
where nothing.fingerprint is null
