{#- Rows outside a range. Nulls are within it. -#}
{% test within(model, column_name, low=none, high=none) %}
    select *
    from {{ model }}
    where
        false
        {% if low is not none %} or {{ column_name }} < {{ low }} {% endif %}
        {% if high is not none %} or {{ column_name }} > {{ high }} {% endif %}
{% endtest %}
