-- Airports where more than one flight in a hundred left in an hour without a weather report. Two
-- parents: the check is shown on the model furthest downstream of those that it reads.
select
    flights.origin,
    count(*) as flights,
    count(*) filter (weather.observed_hour is null) as without_weather
from {{ ref('stg_flights') }} as flights
left join {{ ref('stg_weather') }} as weather
    on flights.scheduled_hour = weather.observed_hour
    and flights.origin = weather.origin
group by flights.origin
having without_weather > 0.01 * count(*)
