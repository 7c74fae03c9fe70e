AUDIT (
  name no_flight_lost,
  dialect duckdb,
  standalone TRUE,
  cron '@daily',
  owner 'flight-data',
  description 'The days of the carriers hold every flight of the raw table, once.'
);

WITH counts AS (
  SELECT
    (
      SELECT
        COUNT(*)
      FROM raw.flights
    ) AS raw_flights,
    (
      SELECT
        SUM(flights)
      FROM marts.carrier_days
    ) AS mart_flights
)
SELECT
  raw_flights,
  mart_flights
FROM counts
WHERE
  raw_flights IS DISTINCT FROM mart_flights
