MODEL (
  name marts.delay_by_hour,
  kind FULL,
  cron '@daily',
  grain (carrier, scheduled_hour_local),
  owner 'flight-data',
  tags (marts, flights, carriers),
  description 'Departure delay by carrier and hour of the day: how lateness piles up until the evening.',
  column_descriptions (
    scheduled_hour_local = 'hour of scheduled departure in New York',
    departed = 'flights that the delays are of',
    p90_dep_delay = 'nine of ten departures are at most this late, in minutes'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (carrier, scheduled_hour_local)),
    NOT_NULL(columns := (airline, carrier_group)),
    FORALL(criteria := (departed <= flights, scheduled_hour_local BETWEEN 0 AND 23))
  )
);

SELECT
  flights.carrier::TEXT AS carrier,
  ANY_VALUE(carriers.airline)::TEXT AS airline,
  ANY_VALUE(carrier_groups.carrier_group)::TEXT AS carrier_group,
  flights.scheduled_hour_local::INT AS scheduled_hour_local,
  COUNT(*)::INT AS flights,
  COUNT(flights.dep_delay_minutes)::INT AS departed,
  AVG(flights.dep_delay_minutes)::DOUBLE AS mean_dep_delay,
  QUANTILE_CONT(flights.dep_delay_minutes, 0.9)::DOUBLE AS p90_dep_delay
FROM staging.stg_flights AS flights
LEFT JOIN staging.stg_carriers AS carriers
  ON flights.carrier = carriers.carrier
LEFT JOIN reference.carrier_groups AS carrier_groups
  ON flights.carrier = carrier_groups.carrier
GROUP BY
  flights.carrier,
  flights.scheduled_hour_local
