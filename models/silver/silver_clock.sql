with arrivals as (

    select * from {{ ref('silver_arrivals') }}

),

clock as (

    select
        min(first_known_at) as data_from,
        {% if var('known_until') -%}
        cast('{{ var("known_until") }}' as timestamp)
        {%- else -%}
        max(last_known_at)
        {%- endif %} as data_until
    from arrivals

)

select * from clock
