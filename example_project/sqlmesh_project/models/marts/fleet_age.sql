MODEL (
  name marts.fleet_age,
  kind FULL,
  cron '@weekly',
  grain carrier,
  owner 'fleet-desk',
  tags (marts, fleet, carriers),
  description 'How old the aircraft are that each carrier flies, weighted by flights.',
  column_descriptions (
    known_flights = 'flights whose tail number is in the register with a year',
    mean_age = 'years in 2013, weighted by flights',
    oldest_built = 'year in which the oldest aircraft was built'
  ),
  audits (
    UNIQUE_VALUES(columns := (carrier)),
    ACCEPTED_RANGE(column := mean_age, min_v := 0, max_v := 40),
    -- Fails on the real data: American and Envoy report fleet numbers in place of tail numbers.
    share_at_most(part := unknown_flights, whole := flights, share := 0.5)
  )
);

SELECT
  flights.carrier::TEXT AS carrier,
  ANY_VALUE(carriers.airline)::TEXT AS airline,
  COUNT(*)::INT AS flights,
  COUNT(planes.year_built)::INT AS known_flights,
  (
    COUNT(*) - COUNT(planes.year_built)
  )::INT AS unknown_flights,
  COUNT(DISTINCT planes.tailnum)::INT AS aircraft,
  AVG(2013 - planes.year_built)::DOUBLE AS mean_age,
  MIN(planes.year_built)::INT AS oldest_built,
  AVG(planes.seats)::DOUBLE AS mean_seats
FROM staging.stg_flights AS flights
LEFT JOIN staging.stg_planes AS planes
  ON flights.tailnum = planes.tailnum
LEFT JOIN staging.stg_carriers AS carriers
  ON flights.carrier = carriers.carrier
GROUP BY
  flights.carrier
