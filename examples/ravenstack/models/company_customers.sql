with accounts as (

    select * from {{ ref('raw_accounts') }}

),

-- `churn_flag`, plan, seats and trial of an account are as of the day of extraction: they may tell
-- the future
mapped as (

    {{ holdfast.map_input('customers', 'accounts', {
        'customer_id': 'account_id',
        'signed_up_at': 'signup_date',
        'industry': 'industry',
        'country': 'country',
        'acquisition_channel': 'referral_source',
        'known_at': 'signup_date',
    }) }}

)

select * from mapped
