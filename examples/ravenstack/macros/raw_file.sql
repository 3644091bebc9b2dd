{% macro raw_file(path, source) -%}
    {#-
        The path of a file of the data folder (`HOLDFAST_DATA`, relative to this project, or where the README says).
        `source` says in words where to get it from.
    -#}
    {%- set file = env_var("HOLDFAST_DATA", "../../../shared/data") ~ "/" ~ path -%}
    {%- if execute -%}
        {%- set found = run_query("select count(*) as files from glob('" ~ file | replace("'", "''") ~ "')").columns[0].values()[0] -%}
        {%- if found == 0 -%}
            {{ exceptions.raise_compiler_error(
                "No file '" ~ file ~ "': get it from " ~ source ~ ", put it there as '" ~ path
                ~ "', or name the folder that holds it with the environment variable HOLDFAST_DATA."
            ) }}
        {%- endif -%}
    {%- endif -%}
    '{{ file | replace("'", "''") }}'
{%- endmacro %}
