MODEL (
  name staging.airports,
  kind VIEW,
  cron '@daily',
  grain faa,
  owner 'flight-data',
  tags (staging, reference),
  description 'Airports of the list, and the four destinations that it lacks.',
  column_descriptions (
    faa = 'FAA code',
    latitude = 'degrees north',
    longitude = 'degrees east',
    altitude_feet = 'feet above sea level',
    is_extra = 'true where the airport comes from our seed'
  ),
  audits (
    UNIQUE_VALUES(columns := (faa)),
    NOT_NULL(columns := (faa, airport, latitude, longitude)),
    -- Fails on the real data: three airports lie in China or in the Arctic Ocean, by their sign or
    -- latitude. Nobody flies there from New York, so it warns and does not block.
    plausible_coordinates(south := 13, north := 71.5, west := -180, east := -64)
  )
);

SELECT
  faa::TEXT AS faa,
  name::TEXT AS airport,
  lat::DOUBLE AS latitude,
  lon::DOUBLE AS longitude,
  alt::INT AS altitude_feet,
  tzone::TEXT AS time_zone,
  FALSE AS is_extra
FROM raw.airports
UNION ALL
SELECT
  faa::TEXT AS faa,
  name::TEXT AS airport,
  lat::DOUBLE AS latitude,
  lon::DOUBLE AS longitude,
  alt::INT AS altitude_feet,
  tzone::TEXT AS time_zone,
  TRUE AS is_extra
FROM staging.extra_airports
