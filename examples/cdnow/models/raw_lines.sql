-- columns stand apart by one blank or more, so a line is read whole: it has no control character to part it by
with lines as (

    select line from read_csv(
        {{ raw_file('cdnow/CDNOW_master.txt') }},
        columns = {'line': 'varchar'},
        delim = '\x01',
        quote = '',
        escape = '',
        header = true
    )

)

select * from lines
