{% test dbt_is_positive(model, column) %}
select * from {{ model }} where {{ column }} <= 0
{% endtest %}
