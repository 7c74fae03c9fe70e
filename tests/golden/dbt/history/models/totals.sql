{{ config(materialized="incremental", unique_key=["name", "day"], incremental_strategy="delete+insert",
   on_schema_change="append_new_columns") }}
select name, cast(updated_at as date) as day, count(*) as n from {{ ref('events') }} group by 1, 2
