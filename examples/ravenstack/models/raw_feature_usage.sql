with feature_usage as (

    select * from read_csv(
        {{ raw_file('ravenstack/ravenstack_feature_usage.csv') }},
        all_varchar = true,
        header = true
    )

)

select * from feature_usage
