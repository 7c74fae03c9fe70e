{{ config(materialized='view') }}

select
    carrier,
    regexp_replace(name, ' (Inc\.|Co\.|Corporation)$', '') as airline
from {{ source('raw', 'airlines') }}
