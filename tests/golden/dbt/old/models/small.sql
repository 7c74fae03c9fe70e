{{ config(materialized="ephemeral") }}
select * from {{ ref('rates') }} where rate < 1
