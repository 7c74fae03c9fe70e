{{ config(materialized="ephemeral") }}
select * from {{ ref('clean_people') }} where name is not null
