MODEL (
  name marts.delays,
  kind FULL,
  owner ada,
  tags (heavy),
  cron '@hourly',
  audits (not_null(columns := (carrier)))
);

SELECT carrier::TEXT AS carrier, AVG(delay)::DOUBLE AS delay
FROM staging.stg_flights
GROUP BY carrier
