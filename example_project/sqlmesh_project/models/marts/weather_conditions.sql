MODEL (
  name marts.weather_conditions,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column observed_hour,
    batch_size 2928
  ),
  cron '@hourly',
  start '2013-01-01',
  end '2013-12-31',
  grain (observed_hour, origin),
  owner 'weather-desk',
  tags (marts, weather, hourly),
  description 'Each airport hour in one word, the worst that applies.',
  column_descriptions (
    observed_hour = 'UTC',
    condition = 'snow, rain, fog, wind, haze or fair',
    wind_mph = 'null where the report is impossible'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (observed_hour, origin)),
    ACCEPTED_VALUES(
      column := condition,
      is_in := ('snow', 'rain', 'fog', 'wind', 'haze', 'fair')
    ),
    ACCEPTED_RANGE(column := wind_mph, min_v := 0, max_v := 150)
  )
);

WITH observations AS (
  SELECT
    observed_hour,
    origin,
    temperature_f,
    CASE WHEN wind_mph <= 150 THEN wind_mph END AS wind_mph,
    gust_mph,
    precipitation_inches,
    visibility_miles
  FROM staging.stg_weather
  WHERE
    observed_hour BETWEEN @start_ts AND @end_ts
)
SELECT
  observed_hour::TIMESTAMP AS observed_hour,
  origin::TEXT AS origin,
  CASE
    WHEN precipitation_inches > 0 AND temperature_f <= 34
    THEN 'snow'
    WHEN precipitation_inches > 0
    THEN 'rain'
    WHEN visibility_miles < 1
    THEN 'fog'
    WHEN wind_mph >= 25 OR gust_mph >= 35
    THEN 'wind'
    WHEN visibility_miles < 6
    THEN 'haze'
    ELSE 'fair'
  END::TEXT AS condition,
  temperature_f::DOUBLE AS temperature_f,
  wind_mph::DOUBLE AS wind_mph,
  precipitation_inches::DOUBLE AS precipitation_inches,
  visibility_miles::DOUBLE AS visibility_miles
FROM observations
