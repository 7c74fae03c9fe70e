{{ config(materialized='table', tags=['weekly']) }}

select
    tailnum,
    year::integer as year_built,
    manufacturer,
    model,
    engines::integer as engines,
    seats::integer as seats,
    engine as engine_type
from {{ source('raw', 'planes') }}
