MODEL (
  name marts.weather_impact,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column day_utc,
    batch_size 183
  ),
  cron '@daily',
  start '2013-01-01',
  end '2014-01-01',
  grain (day_utc, origin, condition),
  owner 'weather-desk',
  tags (marts, weather, flights),
  description 'What the weather at the hour of departure did to the flights, by UTC day and airport.',
  column_descriptions (
    condition = 'weather of the scheduled hour; unknown where nothing was reported',
    mean_dep_delay = 'minutes, of the flights that departed'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (day_utc, origin, condition)),
    FORALL(criteria := (flights > 0, cancelled <= flights, late_departures <= flights))
  )
);

SELECT
  flights.scheduled_hour::DATE AS day_utc,
  flights.origin::TEXT AS origin,
  COALESCE(weather.condition, 'unknown')::TEXT AS condition,
  COUNT(*)::INT AS flights,
  COUNT(*) FILTER(WHERE flights.is_cancelled)::INT AS cancelled,
  COUNT(*) FILTER(WHERE flights.dep_delay_minutes > 15)::INT AS late_departures,
  AVG(flights.dep_delay_minutes)::DOUBLE AS mean_dep_delay
FROM staging.stg_flights AS flights
LEFT JOIN marts.weather_conditions AS weather
  ON flights.scheduled_hour = weather.observed_hour AND flights.origin = weather.origin
WHERE
  flights.scheduled_hour BETWEEN @start_ts AND @end_ts
GROUP BY
  1,
  2,
  3
