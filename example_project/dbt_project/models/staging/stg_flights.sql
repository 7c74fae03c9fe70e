{{ config(materialized='table', tags=['heavy']) }}

select
    time_hour as scheduled_hour,
    make_date(year::bigint, month::bigint, day::bigint) as flight_date,
    hour::integer as scheduled_hour_local,
    carrier,
    flight as flight_number,
    tailnum,
    origin,
    dest,
    dep_delay::integer as dep_delay_minutes,
    arr_delay::integer as arr_delay_minutes,
    air_time::integer as air_minutes,
    distance::integer as published_miles,
    dep_time is null as is_cancelled,
    dep_time is not null and air_time is null as is_diverted
from {{ source('raw', 'flights') }}
