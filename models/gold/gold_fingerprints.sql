{{ config(slice_plan='label_dates') }}

with slices as (

    select * from {{ holdfast.slices_to_build('label_dates') }} as to_build

),

{% for relation in ['customer_360', 'churn_labels'] -%}
{{ relation }} as (

    select
        slices.slice as as_of_date,
        cast('{{ relation }}' as {{ dbt.type_string() }}) as relation,
        count(*) as row_count,
        {{ holdfast.fingerprint(holdfast.model_columns('gold_' ~ relation)) }} as fingerprint,
        slices.built_from
    from slices
    inner join {{ ref('gold_' ~ relation) }} as cells
        on slices.slice = cells.as_of_date
    group by slices.slice, slices.built_from

),

{% endfor -%}
fingerprints as (

    select * from customer_360
    union all
    select * from churn_labels

)

select * from fingerprints
