MODEL (
  name marts.carrier_days,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column flight_date,
    batch_size 183,
    -- New York's evening belongs to the next UTC day, so a day is complete one run later.
    lookback 1
  ),
  cron '@daily',
  start '2013-01-01',
  end '2013-12-31',
  grain (flight_date, carrier),
  owner 'flight-data',
  tags (marts, flights, carriers),
  description 'One row per carrier and day (in New York) with its punctuality.',
  column_descriptions (
    on_time = 'flights that arrived at most 15 minutes late',
    dep_delay_minutes = 'sum over the flights that departed; divide by departed',
    arr_delay_minutes = 'sum over the flights that arrived; divide by arrived'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (flight_date, carrier)),
    FORALL(criteria := (departed + cancelled = flights, arrived <= departed, on_time <= arrived)),
    -- Fails on the real data: on some days a carrier cancels more than half of its flights.
    share_at_most(part := cancelled, whole := flights, share := 0.5, at_least := 20)
  )
);

SELECT
  flight_date::DATE AS flight_date,
  carrier::TEXT AS carrier,
  COUNT(*)::INT AS flights,
  COUNT(*) FILTER(WHERE is_cancelled)::INT AS cancelled,
  COUNT(*) FILTER(WHERE NOT is_cancelled)::INT AS departed,
  COUNT(arr_delay_minutes)::INT AS arrived,
  COUNT(*) FILTER(WHERE arr_delay_minutes <= 15)::INT AS on_time,
  COALESCE(SUM(dep_delay_minutes), 0)::INT AS dep_delay_minutes,
  COALESCE(SUM(arr_delay_minutes), 0)::INT AS arr_delay_minutes
FROM staging.stg_flights
WHERE
  flight_date BETWEEN @start_ds AND @end_ds
GROUP BY
  1,
  2
