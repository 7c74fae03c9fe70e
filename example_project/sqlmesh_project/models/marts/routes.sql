MODEL (
  name marts.routes,
  kind FULL,
  cron '@daily',
  grain (origin, dest),
  owner 'flight-data',
  tags (marts, flights, routes),
  description 'Routes out of New York City: traffic, punctuality, and distance as published and as computed.',
  column_descriptions (
    arrived = 'flights that mean_arr_delay is of',
    published_miles = 'distance as the data set gives it',
    great_circle_miles = 'distance that the Python asset raw.airport_distances computed',
    initial_bearing = 'direction of departure, degrees clockwise from north',
    ground_mph = 'miles of the great circle per hour in the air'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (origin, dest)),
    NOT_NULL(columns := (dest_airport, great_circle_miles)),
    -- The same audit twice: five percent is an error in the data, half a percent worth a look.
    distances_agree(
      left_miles := published_miles, right_miles := great_circle_miles, tolerance := 0.05
    ),
    distances_agree(
      left_miles := published_miles,
      right_miles := great_circle_miles,
      tolerance := 0.005,
      blocking := FALSE
    )
  )
);

SELECT
  flights.origin::TEXT AS origin,
  flights.dest::TEXT AS dest,
  ANY_VALUE(airports.airport)::TEXT AS dest_airport,
  COUNT(*)::INT AS flights,
  COUNT(flights.arr_delay_minutes)::INT AS arrived,
  COUNT(DISTINCT flights.carrier)::INT AS carriers,
  AVG(flights.is_cancelled::INT)::DOUBLE AS cancelled_share,
  AVG(flights.dep_delay_minutes)::DOUBLE AS mean_dep_delay,
  AVG(flights.arr_delay_minutes)::DOUBLE AS mean_arr_delay,
  MAX(flights.published_miles)::DOUBLE AS published_miles,
  ANY_VALUE(distances.great_circle_miles)::DOUBLE AS great_circle_miles,
  ANY_VALUE(distances.initial_bearing)::DOUBLE AS initial_bearing,
  (
    ANY_VALUE(distances.great_circle_miles) * 60 / AVG(flights.air_minutes)
  )::DOUBLE AS ground_mph
FROM staging.stg_flights AS flights
LEFT JOIN staging.stg_airports AS airports
  ON flights.dest = airports.faa
LEFT JOIN raw.airport_distances AS distances
  ON flights.origin = distances.origin AND flights.dest = distances.dest
GROUP BY
  flights.origin,
  flights.dest
