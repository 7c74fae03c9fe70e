MODEL (
  name staging.weather,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column observed_hour,
    batch_size 2928 -- hours: a third of a year
  ),
  cron '@hourly',
  start '2013-01-01',
  end '2013-12-31',
  grain (observed_hour, origin),
  owner 'weather-desk',
  tags (staging, weather, hourly),
  description 'Hourly observations at the three airports, as they were reported.',
  column_descriptions (
    observed_hour = 'hour of the observation, UTC',
    temperature_f = 'degrees Fahrenheit',
    wind_mph = 'miles per hour',
    gust_mph = 'miles per hour, null without gusts',
    precipitation_inches = 'inches in the hour',
    pressure_mbar = 'at sea level',
    visibility_miles = 'at most 10'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (observed_hour, origin)),
    ACCEPTED_RANGE(column := humidity_percent, min_v := 0, max_v := 100),
    -- Fails on the real data: Newark reported 1,048 mph on 12 February at 08:00. The model keeps what
    -- was reported; marts.weather_conditions does not use it.
    ACCEPTED_RANGE(column := wind_mph, min_v := 0, max_v := 150, blocking := FALSE)
  )
);

SELECT
  time_hour::TIMESTAMP AS observed_hour,
  origin::TEXT AS origin,
  temp::DOUBLE AS temperature_f,
  humid::DOUBLE AS humidity_percent,
  wind_speed::DOUBLE AS wind_mph,
  wind_gust::DOUBLE AS gust_mph,
  precip::DOUBLE AS precipitation_inches,
  pressure::DOUBLE AS pressure_mbar,
  visib::DOUBLE AS visibility_miles
FROM raw.weather
WHERE
  time_hour BETWEEN @start_ts AND @end_ts
