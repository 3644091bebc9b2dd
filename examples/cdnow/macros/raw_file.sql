{% macro raw_file(path) -%}
    {#-
        The quoted path of a file of the data folder: `HOLDFAST_DATA`, relative to this project, or where the README says.
        Where the file is not there, one sentence says how to get it.
    -#}
    {%- set file = env_var("HOLDFAST_DATA", "../../../shared/data") ~ "/" ~ path -%}
    {%- set quoted = "'" ~ file | replace("'", "''") ~ "'" -%}
    {%- if execute -%}
        {%- set files = run_query("select count(*) as files from glob(" ~ quoted ~ ")") -%}
        {%- if files.columns[0].values()[0] == 0 -%}
            {{ exceptions.raise_compiler_error(
                "No file '" ~ file ~ "': get it from https://www.brucehardie.com/datasets/ (CDNOW dataset, full data set), "
                ~ "put it there as '" ~ path ~ "', "
                ~ "or name the folder that holds it with the environment variable HOLDFAST_DATA."
            ) }}
        {%- endif -%}
    {%- endif -%}
    {{ quoted }}
{%- endmacro %}
