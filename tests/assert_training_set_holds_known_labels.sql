-- The training set is every observation on the grid whose label is known, but for those who had
-- left before, and nothing else. A returned row is an as-of date on which their numbers differ, or
-- on which a label came after data_until.

with training_set as (

    select
        as_of_date,
        count(*) as row_count,
        count(*) filter (where is_churn) as churned,
        max(label_known_at) as newest_label_known_at
    from {{ ref('gold_training_set') }}
    group by as_of_date

),

labels as (

    select
        churn_labels.as_of_date,
        count(*) as row_count,
        count(*) filter (where churn_labels.is_churn) as churned
    from {{ ref('gold_churn_labels') }} as churn_labels
    inner join {{ ref('gold_as_of_dates') }} as as_of_dates
        on churn_labels.as_of_date = as_of_dates.as_of_date
        and as_of_dates.is_grid
    where churn_labels.is_churn is not null
        and not churn_labels.has_left_before
    group by churn_labels.as_of_date

),

clock as (

    select * from {{ ref('silver_clock') }}

)

select
    coalesce(training_set.as_of_date, labels.as_of_date) as as_of_date,
    training_set.row_count,
    labels.row_count as known_labels,
    training_set.churned,
    labels.churned as known_churned,
    training_set.newest_label_known_at,
    clock.data_until
from training_set
full outer join labels
    on training_set.as_of_date = labels.as_of_date
cross join clock
where training_set.row_count is distinct from labels.row_count
    or training_set.churned is distinct from labels.churned
    or training_set.newest_label_known_at > clock.data_until
