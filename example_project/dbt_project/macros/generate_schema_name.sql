{#- `staging` and not `main_staging`: SQLMesh and Python assets read these schemas by name. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
