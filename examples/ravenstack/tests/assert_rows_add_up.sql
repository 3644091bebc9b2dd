-- A returned row is a file of which some rows are neither kept, repeats, rejected nor set aside,
-- or are counted twice.
select * from {{ ref('source_intake') }}
where rows_in != rows_kept + repeats + rejects + set_aside
    or rows_in = 0
