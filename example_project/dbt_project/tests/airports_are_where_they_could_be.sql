-- Airports outside the box of the United States. The outer Aleutians lie beyond the 180th meridian:
-- they are at home. Warns: three airports lie in China or in the Arctic Ocean, by their sign or
-- latitude, and nobody flies there from New York.
{{ config(severity='warn') }}
select *
from {{ ref('stg_airports') }}
where
    latitude not between 13 and 71.5
    or (longitude not between -180 and -64 and longitude < 170)
