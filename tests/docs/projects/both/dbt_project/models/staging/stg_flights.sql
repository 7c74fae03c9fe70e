select carrier, origin, cast(day as date) as day, cast(delay as integer) as delay
from {{ ref('raw_flights') }}
