-- Adds the hours that are new; with the run option `dbt: {full_refresh: true}` it begins anew.
{{ config(materialized='incremental', tags=['hourly']) }}

select
    time_hour as observed_hour,
    origin,
    temp as temperature_f,
    humid as humidity_percent,
    wind_speed as wind_mph,
    wind_gust as gust_mph,
    precip as precipitation_inches,
    pressure as pressure_mbar,
    visib as visibility_miles
from {{ source('raw', 'weather') }}
{% if is_incremental() %}
where time_hour > (select max(observed_hour) from {{ this }})
{% endif %}
