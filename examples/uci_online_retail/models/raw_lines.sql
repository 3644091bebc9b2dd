with lines as (

    select * from read_csv(
        {{ raw_file('uci_online_retail/online_retail.csv.gz', "the UCI Machine Learning Repository, data set 352 (Online Retail), as CSV") }},
        all_varchar = true, header = true
    )

)

select * from lines
