{{ config(materialized="ephemeral") }}
select id, name, cast(updated_at as timestamp) as updated_at from {{ ref('people') }}
