-- The worklist speaks for one date and for the version that is champion now, which
-- ml.model_versions knows. A returned row is a date and version on the worklist of which that is
-- not true.

with champion_changes as (

    select
        model_name,
        to_version,
        row_number() over (
            partition by model_name
            order by changed_at desc nulls last, to_version desc nulls last
        ) as changes_back
    from {{ source('ml', 'alias_history') }}
    where alias = 'champion'

),

worklist as (

    select
        as_of_date,
        model_name,
        model_version,
        count(*) over () as slices
    from {{ ref('marts_retention_worklist') }}
    group by as_of_date, model_name, model_version

)

select
    worklist.as_of_date,
    worklist.model_name,
    worklist.model_version
from worklist
left join champion_changes
    on worklist.model_name = champion_changes.model_name
    and worklist.model_version = champion_changes.to_version
    and champion_changes.changes_back = 1
left join {{ source('ml', 'model_versions') }} as model_versions
    on worklist.model_name = model_versions.model_name
    and worklist.model_version = model_versions.model_version
where worklist.slices > 1
    or champion_changes.model_name is null
    or model_versions.model_name is null
