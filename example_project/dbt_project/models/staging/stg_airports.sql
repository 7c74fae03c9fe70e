{{ config(materialized='view') }}

select
    faa,
    name as airport,
    lat as latitude,
    lon as longitude,
    alt as altitude_feet,
    tzone as time_zone,
    false as is_extra
from {{ source('raw', 'airports') }}
union all
select faa, name, lat, lon, alt, tzone, true
from {{ ref('extra_airports') }}
