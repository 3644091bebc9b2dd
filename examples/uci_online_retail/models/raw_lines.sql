with lines as (

    select * from read_csv(
        {{ raw_file('uci_online_retail/online_retail.csv.gz') }},
        all_varchar = true,
        header = true
    )

)

select * from lines
