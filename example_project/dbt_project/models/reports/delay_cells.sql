{{ config(materialized='table') }}

with cells as (
    select
        airline,
        scheduled_hour_local as hour,
        departed,
        mean_dep_delay,
        sum(departed) over (partition by airline) as departed_in_year
    from {{ source('marts', 'delay_by_hour') }}
    where departed > 0
)

select
    airline,
    hour,
    departed,
    case when departed >= {{ var('fewest_departures') }} then mean_dep_delay end as mean_dep_delay,
    departed_in_year::integer as departed_in_year,
    dense_rank() over (order by departed_in_year desc, airline)::integer as traffic_rank
from cells
