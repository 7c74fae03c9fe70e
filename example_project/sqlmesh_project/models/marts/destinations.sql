MODEL (
  name marts.destinations,
  kind VIEW,
  cron '@daily',
  grain dest,
  owner 'flight-data',
  tags (marts, routes),
  description 'Destinations on the map, with traffic and delay over all three airports.',
  column_descriptions (
    mean_arr_delay = 'minutes, of the flights that arrived',
    best_origin = 'the airport whose flights arrive with the least delay on average'
  ),
  audits (
    UNIQUE_VALUES(columns := (dest)),
    NOT_NULL(columns := (airport, latitude, longitude)),
    NUMBER_OF_ROWS(threshold := 100)
  )
);

SELECT
  routes.dest::TEXT AS dest,
  airports.airport::TEXT AS airport,
  airports.latitude::DOUBLE AS latitude,
  airports.longitude::DOUBLE AS longitude,
  SUM(routes.flights)::INT AS flights,
  COUNT(*)::INT AS origins,
  (
    SUM(routes.mean_arr_delay * routes.arrived) / NULLIF(SUM(routes.arrived), 0)
  )::DOUBLE AS mean_arr_delay,
  ARG_MIN(routes.origin, routes.mean_arr_delay)::TEXT AS best_origin,
  MIN(routes.great_circle_miles)::DOUBLE AS nearest_miles
FROM marts.routes AS routes
LEFT JOIN staging.stg_airports AS airports
  ON routes.dest = airports.faa
GROUP BY
  routes.dest,
  airports.airport,
  airports.latitude,
  airports.longitude
