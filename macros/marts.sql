{% macro quotient(numerator, denominator, places=6) -%}
    {#-
        numerator / denominator as decimal(18, places), null where the denominator is 0 or null.
        The division itself is a floating one: for figures that judge a model, whose parts are wider
        than `ratio` holds. Where quotients are summed they are decimals again, so that no result
        depends on the order of rows.
    -#}
    cast((1e0 * ({{ numerator }})) / nullif({{ denominator }}, 0) as decimal(18, {{ places }}))
{%- endmacro %}


{% macro share_within(before, size, places) -%}
    {#-
        The share, 0 to 1, of a group of `size` rows after `before` others that lies within the
        first `places` rows.
    -#}
    case
        when {{ before }} + {{ size }} <= {{ places }} then 1
        when {{ before }} >= {{ places }} then 0
        else {{ holdfast.quotient("(" ~ places ~ ") - (" ~ before ~ ")", size, places=12) }}
    end
{%- endmacro %}


{% macro equal_columns(left, right, columns) -%}
    {#- The condition of a join on several columns. -#}
    {%- for column in columns -%}
        {{ left }}.{{ column }} = {{ right }}.{{ column }}{{ " and " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
