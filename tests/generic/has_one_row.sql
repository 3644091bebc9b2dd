{% test has_one_row(model) %}
    {#- The returned row says that there is not exactly one row. -#}
    select count(*) as row_count
    from {{ model }}
    having count(*) != 1
{% endtest %}
