-- Every row that came in was kept, repeated another, or was rejected. A returned row is an entity
-- that lost or made up rows.

select
    entity,
    rows_in,
    rows_kept,
    repeats,
    rejects,
    rows_in - rows_kept - repeats - rejects as rows_lost
from {{ ref('silver_intake') }}
where rows_in != rows_kept + repeats + rejects
