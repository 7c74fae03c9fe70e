{#- Fails before the model whose name is in the variable `fail`; all others begin with `select 1`.
    It shows what a failure does, and leaves the models as one would write them. -#}
{% macro fail_on_purpose() -%}
    {%- if var('fail', '') == this.identifier -%}
        select error('{{ this.identifier }} fails on purpose: the variable `fail` names it')
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}
