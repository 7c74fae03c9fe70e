MODEL (
  name marts.carrier_days,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  tags (finance)
);

SELECT f.day::DATE AS day, f.carrier::TEXT AS carrier, COUNT(*)::INT AS flights,
  MAX(d.delay)::DOUBLE AS usual_delay
FROM staging.stg_flights AS f
JOIN marts.delays AS d ON d.carrier = f.carrier
WHERE f.day BETWEEN @start_ds AND @end_ds
GROUP BY f.day, f.carrier
