{{ config(materialized="table") }}
select cast('2024-03-01' as date) as day
