{#- The few spellings on which engines differ, each in one place. -#}

{% macro try_cast(expression, data_type) -%}
    {{ adapter.dispatch("try_cast", "holdfast")(expression, data_type) }}
{%- endmacro %}

{% macro default__try_cast(expression, data_type) -%}
    try_cast({{ expression }} as {{ data_type }})
{%- endmacro %}

{% macro postgres__try_cast(expression, data_type) -%}
    {#- PostgreSQL has no `try_cast`: functions of our own, made by `create_functions`, catch the error of a cast. -#}
    {%- set text = "cast(" ~ expression ~ " as text)" -%}
    {%- if data_type == "string" -%}
        {{ text }}
    {%- elif data_type.startswith("decimal") -%}
        cast(bronze.try_decimal({{ text }}, {{ data_type[8:-1] }}) as {{ data_type }})
    {%- else -%}
        bronze.try_{{ data_type }}({{ text }})
    {%- endif -%}
{%- endmacro %}


{% macro create_functions() -%}
    {#- What an engine lacks and only a function of its own can do; made once, at the start of a run that finds none. -#}
    {%- if execute -%}
        {{ adapter.dispatch("create_functions", "holdfast")() }}
    {%- endif -%}
{%- endmacro %}

{% macro default__create_functions() -%}
{%- endmacro %}

{% macro postgres__create_functions() -%}
    {#-
        They look at a value before they cast it. To catch the error of a cast would be shorter, but needs a subtransaction,
        which PostgreSQL refuses wherever it works in parallel.
    -#}
    {%- set functions -%}
        create schema if not exists bronze;
        -- PostgreSQL reads words such as 'yesterday' as times, and rounds what other engines cut off: here only digits are a
        -- time, and no more than six of them a fraction. As in DuckDB a zone is not looked at.
        create or replace function bronze.try_timestamp(value text) returns timestamp
        language plpgsql immutable strict parallel safe as $$
            declare
                parts constant text[] := regexp_match(
                    value,
                    '^(\d{4})[-/ ](\d{1,2})[-/ ](\d{1,2})(?:(?:T| +)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(?: ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?)?$'
                );
                first_of_month date;
                seconds integer;
            begin
                if parts is null or cast(parts[1] as integer) = 0 or cast(parts[2] as integer) not between 1 and 12 then
                    return null;
                end if;
                first_of_month := make_date(cast(parts[1] as integer), cast(parts[2] as integer), 1);
                seconds := coalesce(cast(parts[4] as integer), 0) * 3600 + coalesce(cast(parts[5] as integer), 0) * 60
                    + coalesce(cast(parts[6] as integer), 0);
                if cast(parts[3] as integer) not between 1 and
                    extract(day from first_of_month + interval '1 month' - interval '1 day')
                    or coalesce(cast(parts[5] as integer), 0) > 59 or coalesce(cast(parts[6] as integer), 0) > 59
                    or seconds > 86400
                then
                    return null;
                end if;
                return cast(first_of_month + cast(parts[3] as integer) - 1 as timestamp) + seconds * interval '1 second'
                    + cast(rpad(left(coalesce(parts[7], ''), 6), 6, '0') as integer) * interval '1 microsecond';
            end
        $$;
        create or replace function bronze.try_decimal(value text, wanted_precision integer, wanted_scale integer) returns numeric
        language plpgsql immutable strict parallel safe as $$
            declare
                number numeric;
            begin
                -- longer ones, and those with a larger exponent, no decimal holds; "not a number" is a number to PostgreSQL
                if length(value) > 1000 or value !~ '^\s*[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$' then
                    return null;
                end if;
                number := round(cast(replace(value, '_', '') as numeric), wanted_scale);
                return case when abs(number) < power(10::numeric, wanted_precision - wanted_scale) then number end;
            end
        $$;
        create or replace function bronze.try_integer(value text) returns integer
        language plpgsql immutable strict parallel safe as $$
            declare
                number constant numeric := bronze.try_decimal(value, 38, 0);
            begin
                return case when number between -2147483648 and 2147483647 then cast(number as integer) end;
            end
        $$;
        create or replace function bronze.try_boolean(value text) returns boolean
        language sql immutable strict parallel safe as $$
            select case
                when lower(value) in ('t', 'true', 'y', 'yes', '1') then true
                when lower(value) in ('f', 'false', 'n', 'no', '0') then false
            end
        $$;
    {%- endset -%}
    {#- Their comment says of which text they were made. -#}
    {%- set text = local_md5(functions) -%}
    {%- set signatures = [
        "try_timestamp(text)", "try_decimal(text, integer, integer)", "try_integer(text)", "try_boolean(text)",
    ] -%}
    {%- set found = run_query(
        "select count(*) from pg_proc join pg_namespace on pronamespace = pg_namespace.oid "
        ~ "where nspname = 'bronze' and obj_description(pg_proc.oid, 'pg_proc') = '" ~ text ~ "'"
    ) -%}
    {%- if found.columns[0].values()[0] < signatures | length %}
        {{ functions }}
        {%- for signature in signatures %}
        comment on function bronze.{{ signature }} is '{{ text }}';
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{% macro spark__try_cast(expression, data_type) -%}
    {#-
        Spark cuts off the places where an integer is wanted, and takes no text with places; DuckDB and PostgreSQL round. And it
        reads `2024` and `yesterday` as times, the second by the clock of the day: here only digits are a time, as elsewhere.
    -#}
    {%- if data_type in ["integer", "bigint"] -%}
        try_cast(round(try_cast({{ expression }} as decimal(38, 6))) as {{ data_type }})
    {%- elif data_type in ["timestamp", "date"] -%}
        {%- set text = "cast(" ~ expression ~ " as string)" -%}
        case
            when {{ text }} rlike
                '^[0-9]{4}[-/ ][0-9]{1,2}[-/ ][0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?$'
                then try_cast(regexp_replace({{ text }}, '^([0-9]+)[-/ ]([0-9]+)[-/ ]([0-9]+)', '$1-$2-$3') as {{ data_type }})
        end
    {%- else -%}
        try_cast({{ expression }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}


{% macro add_days(date_expression, days) -%}
    {{ adapter.dispatch("add_days", "holdfast")(date_expression, days) }}
{%- endmacro %}

{% macro default__add_days(date_expression, days) -%}
    ({{ date_expression }} + cast({{ days }} as integer))
{%- endmacro %}


{% macro days_between(from_date, to_date) -%}
    {{ adapter.dispatch("days_between", "holdfast")(from_date, to_date) }}
{%- endmacro %}

{% macro default__days_between(from_date, to_date) -%}
    cast(cast({{ to_date }} as date) - cast({{ from_date }} as date) as integer)
{%- endmacro %}


{% macro divide_integers(numerator, denominator) -%}
    {{ adapter.dispatch("divide_integers", "holdfast")(numerator, denominator) }}
{%- endmacro %}

{% macro default__divide_integers(numerator, denominator) -%}
    div({{ numerator }}, {{ denominator }})
{%- endmacro %}

{% macro duckdb__divide_integers(numerator, denominator) -%}
    {#- `/` is a double in DuckDB, also between integers. -#}
    ({{ numerator }}) // ({{ denominator }})
{%- endmacro %}

{% macro spark__divide_integers(numerator, denominator) -%}
    {#- `/` is a double in Spark, and `div` an operator, not a function. -#}
    ({{ numerator }}) div ({{ denominator }})
{%- endmacro %}


{% macro text_of(column, data_type) -%}
    {{ adapter.dispatch("text_of", "holdfast")(column, data_type) }}
{%- endmacro %}

{% macro default__text_of(column, data_type) -%}
    {#- A timestamp as its microseconds since 1970: engines print timestamps each in its own way. -#}
    {%- if data_type == "timestamp" -%}
        cast({{ holdfast.epoch_microseconds(column) }} as {{ dbt.type_string() }})
    {%- elif data_type == "string" -%}
        {{ column }}
    {%- else -%}
        cast({{ column }} as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}


{% macro epoch_microseconds(timestamp) -%}
    {{ adapter.dispatch("epoch_microseconds", "holdfast")(timestamp) }}
{%- endmacro %}

{% macro duckdb__epoch_microseconds(timestamp) -%}
    {#- `extract(epoch)` is a double in DuckDB. -#}
    epoch_us({{ timestamp }})
{%- endmacro %}

{% macro postgres__epoch_microseconds(timestamp) -%}
    {#- A numeric, and so exact, from PostgreSQL 14 on. -#}
    cast(extract(epoch from {{ timestamp }}) * 1000000 as bigint)
{%- endmacro %}

{% macro spark__epoch_microseconds(timestamp) -%}
    {#- `extract(epoch)` does not exist in Spark. -#}
    unix_micros({{ timestamp }})
{%- endmacro %}


{% macro hash_number(md5_text) -%}
    {{ adapter.dispatch("hash_number", "holdfast")(md5_text) }}
{%- endmacro %}

{% macro duckdb__hash_number(md5_text) -%}
    {#- Fifteen hexadecimal digits of an md5 fit a bigint without a sign on every engine. -#}
    cast('0x' || substr({{ md5_text }}, 1, 15) as bigint)
{%- endmacro %}

{% macro postgres__hash_number(md5_text) -%}
    {#- PostgreSQL reads hexadecimal digits only as bits. -#}
    cast(cast('x' || substr({{ md5_text }}, 1, 15) as bit(60)) as bigint)
{%- endmacro %}

{% macro spark__hash_number(md5_text) -%}
    {#- `conv` gives a text; a sum of bigints stays a bigint in Spark and overflows, a sum of decimals widens. -#}
    cast(conv(substr({{ md5_text }}, 1, 15), 16, 10) as decimal(20, 0))
{%- endmacro %}


{% macro words_of(text) -%}
    {{ adapter.dispatch("words_of", "holdfast")(text) }}
{%- endmacro %}

{% macro duckdb__words_of(text) -%}
    {#- One row a word: DuckDB unnests a list in the select list. -#}
    unnest(string_split_regex(lower({{ text }}), '[^a-z]+'))
{%- endmacro %}

{% macro postgres__words_of(text) -%}
    {#- PostgreSQL splits into rows at once. -#}
    regexp_split_to_table(lower({{ text }}), '[^a-z]+')
{%- endmacro %}

{% macro spark__words_of(text) -%}
    {#- What DuckDB calls unnest is explode. -#}
    explode(split(lower({{ text }}), '[^a-z]+'))
{%- endmacro %}


{% macro series_of_days(first_day, last_day) -%}
    {{ adapter.dispatch("series_of_days", "holdfast")(first_day, last_day) }}
{%- endmacro %}

{% macro duckdb__series_of_days(first_day, last_day) -%}
    {#- `dbt.date_spine` queries while compiling; a generated series does not. -#}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date) as calendar_date
{%- endmacro %}

{% macro postgres__series_of_days(first_day, last_day) -%}
    {#- A series of dates is one of timestamps with a zone in PostgreSQL, whose days may have 23 hours. -#}
    select cast(
        generate_series(cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval '1 day') as date
    ) as calendar_date
{%- endmacro %}

{% macro spark__series_of_days(first_day, last_day) -%}
    {#- What DuckDB calls generate_series is sequence. -#}
    select explode(sequence({{ first_day }}, {{ last_day }}, interval 1 day)) as calendar_date
{%- endmacro %}


{% macro engine_hash(columns) -%}
    {{ adapter.dispatch("engine_hash", "holdfast")(columns) }}
{%- endmacro %}

{% macro duckdb__engine_hash(columns) -%}
    {#- Many times faster than md5 of a text; differs from engine to engine, and so never leaves the warehouse. -#}
    hash({{ columns | join(", ") }})
{%- endmacro %}

{% macro postgres__engine_hash(columns) -%}
    {#- PostgreSQL hashes a row as one value. -#}
    hash_record_extended(row({{ columns | join(", ") }}), 0)
{%- endmacro %}

{% macro spark__engine_hash(columns) -%}
    {#- A null leaves Spark's hash as it was, so a flag tells which column it is in. A decimal: a sum of bigints overflows in Spark. -#}
    cast(xxhash64(
        {%- for column in columns %}{{ column }}, {{ column }} is null{{ ", " if not loop.last }}{% endfor -%}
    ) as decimal(20, 0))
{%- endmacro %}


{% macro joined_texts(texts) -%}
    {#- Texts that are never null, one after the other, chr(31) between them. -#}
    {{ adapter.dispatch("joined_texts", "holdfast")(texts) }}
{%- endmacro %}

{% macro default__joined_texts(texts) -%}
    {{ texts | join(" || chr(31) || ") }}
{%- endmacro %}

{% macro duckdb__joined_texts(texts) -%}
    {#- Each `||` copies what stands before it: a row of 127 columns took four times as long. -#}
    {%- if texts | length > 1 -%}
        concat_ws(chr(31), {{ texts | join(", ") }})
    {%- else -%}
        {{ texts | join }}
    {%- endif -%}
{%- endmacro %}

{% macro postgres__joined_texts(texts) -%}
    {#- As in DuckDB, but a function of PostgreSQL takes no more than 100 arguments. -#}
    {%- for some in texts | batch(90) -%}
        {%- if not loop.first %} || chr(31) || {% endif -%}
        {%- if some | length > 1 -%}concat_ws(chr(31), {{ some | join(", ") }}){%- else -%}{{ some | join }}{%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro spark__joined_texts(texts) -%}
    {#- As in DuckDB: a chain of `||` is a tree as deep as the row is wide, which Spark walks again and again. -#}
    {{ holdfast.duckdb__joined_texts(texts) }}
{%- endmacro %}


{% macro type_of(data_type) -%}
    {#- A type of the YAML as the engine spells it. -#}
    {{ return(adapter.dispatch("type_of", "holdfast")(data_type)) }}
{%- endmacro %}

{% macro default__type_of(data_type) -%}
    {{ return(api.Column.translate_type(data_type)) }}
{%- endmacro %}

{% macro postgres__type_of(data_type) -%}
    {#- PostgreSQL has no `double`, and dbt's own translation leaves it. -#}
    {{ return("double precision" if data_type == "double" else api.Column.translate_type(data_type)) }}
{%- endmacro %}


{% macro in_code_order(text) -%}
    {#- A text as it sorts by its characters' codes, where an order decides anything. -#}
    {{ adapter.dispatch("in_code_order", "holdfast")(text) }}
{%- endmacro %}

{% macro default__in_code_order(text) -%}
    {{ text }}
{%- endmacro %}

{% macro postgres__in_code_order(text) -%}
    {#- A database of PostgreSQL sorts by the language that it was made with. -#}
    {{ text }} collate "C"
{%- endmacro %}


{% macro read_anew() -%}
    {#- Before the parenthesis of a common table expression that is cheaper to read once more than to keep: `as {{ ... }} (`. -#}
    {{ adapter.dispatch("read_anew", "holdfast")() }}
{%- endmacro %}

{% macro default__read_anew() -%}
{%- endmacro %}

{% macro duckdb__read_anew() -%}
    {#- DuckDB keeps the rows of what is named twice: of a first build all of them, on the disk where memory ends. -#}
    not materialized
{%- endmacro %}


{% macro analyze(relation) -%}
    {#- Statistics on what was just built, for an engine that plans without them until it gets round to it. -#}
    {{ adapter.dispatch("analyze", "holdfast")(relation) }}
{%- endmacro %}

{% macro default__analyze(relation) -%}
{%- endmacro %}

{% macro postgres__analyze(relation) -%}
    {#- PostgreSQL's own analysis runs about once a minute; until then it takes a table to be tiny, and joins by nested loops. -#}
    {%- if model.config.materialized != "view" -%}
        analyze {{ relation }}
    {%- endif -%}
{%- endmacro %}


{% macro add_days_to_time(timestamp, days) -%}
    {#- A whole number of days later, to the microsecond: `dbt.dateadd` drops what is below a second on Spark. -#}
    ({{ timestamp }} + interval '{{ days }}' day)
{%- endmacro %}
