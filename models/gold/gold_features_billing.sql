with observations as (

    select * from {{ holdfast.observations_to_build() }} as to_build

),

invoices_versions as (

    select * from {{ ref('silver_invoices_versions') }}

),

invoices as (

    select
        observations.customer_id,
        observations.as_of_date,
        invoices_versions.issued_at,
        invoices_versions.due_at,
        invoices_versions.paid_at,
        invoices_versions.failed_at,
        invoices_versions.amount,
        {{ holdfast.in_window('invoices_versions.due_at', 'observations.as_of_date', 180) }} as is_due_180d,
        invoices_versions.paid_at > invoices_versions.due_at or invoices_versions.paid_at is null as is_late,
        case
            when invoices_versions.paid_at is null
                and {{ holdfast.in_window('invoices_versions.due_at', 'observations.as_of_date', 365) }}
                then {{ holdfast.days_between('invoices_versions.due_at', 'observations.as_of_date') }}
        end as days_past_due
    from observations
    inner join invoices_versions
        on observations.customer_id = invoices_versions.customer_id
        and {{ holdfast.is_version_at('invoices_versions', 'observations.as_of_date') }}

),

sums as (

    select
        customer_id,
        as_of_date,
        count(*) filter (where {{ holdfast.in_window('issued_at', 'as_of_date', 90) }}) as invoices_90d,
        sum(amount) filter (where {{ holdfast.in_window('paid_at', 'as_of_date', 90) }}) as amount_paid_90d,
        sum(amount) filter (where {{ holdfast.in_window('paid_at', 'as_of_date', 365) }}) as amount_paid_365d,
        count(*) filter (where {{ holdfast.in_window('failed_at', 'as_of_date', 90) }}) as failed_payments_90d,
        count(*) filter (where is_due_180d) as due_invoices,
        count(*) filter (where is_due_180d and is_late) as late_invoices,
        max(days_past_due) as days_past_due_max
    from invoices
    group by customer_id, as_of_date

),

features as (

    select
        observations.customer_id,
        observations.as_of_date,
        cast(coalesce(sums.invoices_90d, 0) as integer) as invoices_90d,
        cast(coalesce(sums.amount_paid_90d, 0) as decimal(18, 2)) as amount_paid_90d,
        cast(coalesce(sums.amount_paid_365d, 0) as decimal(18, 2)) as amount_paid_365d,
        cast(coalesce(sums.failed_payments_90d, 0) as integer) as failed_payments_90d,
        {{ holdfast.ratio('sums.late_invoices', 'sums.due_invoices') }} as late_payment_ratio_180d,
        coalesce(sums.days_past_due_max, 0) as days_past_due_max,
        observations.built_from
    from observations
    left join sums
        on observations.customer_id = sums.customer_id
        and observations.as_of_date = sums.as_of_date

)

select * from features
