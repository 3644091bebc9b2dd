with deliveries as (

    select * from {{ ref('bronze_deliveries') }}
    where row_count > 0

),

arrivals as (

    select
        entity,
        known_date,
        row_count,
        {{ holdfast.fingerprint_of('row_count', 'hash_sum') }} as fingerprint,
        first_known_at,
        last_known_at
    from deliveries

)

select * from arrivals
