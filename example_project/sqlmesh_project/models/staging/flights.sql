MODEL (
  name staging.flights,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column scheduled_hour,
    batch_size 122
  ),
  cron '@daily',
  start '2013-01-01',
  -- Intervals are UTC days: the evening of New York's New Year's Eve is in the first UTC day of 2014.
  end '2014-01-01',
  grain (scheduled_hour, carrier, flight_number, origin),
  owner 'flight-data',
  tags (staging, flights, heavy),
  description 'One row per scheduled departure from New York City.',
  column_descriptions (
    scheduled_hour = 'hour of scheduled departure, UTC',
    flight_date = 'date of scheduled departure in New York',
    scheduled_hour_local = 'hour of scheduled departure in New York, 0 to 23',
    dep_delay_minutes = 'minutes late at departure, negative if early, null if cancelled',
    arr_delay_minutes = 'minutes late at arrival, null if cancelled or diverted',
    published_miles = 'distance as the data set gives it',
    is_cancelled = 'never departed',
    is_diverted = 'departed, but has no time in the air to its destination'
  ),
  audits (
    UNIQUE_COMBINATION_OF_COLUMNS(columns := (scheduled_hour, carrier, flight_number, origin)),
    NOT_NULL(columns := (scheduled_hour, flight_date, carrier, origin, dest)),
    ACCEPTED_VALUES(column := origin, is_in := ('EWR', 'JFK', 'LGA')),
    FORALL(criteria := (dep_delay_minutes >= -60, NOT (is_cancelled AND is_diverted))),
    -- The same audit twice: a day late is an error in the data, twelve hours late (29 departures of
    -- the real data) worth a look.
    ACCEPTED_RANGE(column := dep_delay_minutes, max_v := 1440),
    ACCEPTED_RANGE(column := dep_delay_minutes, max_v := 720, blocking := FALSE)
  )
);

SELECT
  time_hour::TIMESTAMP AS scheduled_hour,
  MAKE_DATE(year::BIGINT, month::BIGINT, day::BIGINT)::DATE AS flight_date,
  hour::INT AS scheduled_hour_local,
  carrier::TEXT AS carrier,
  flight::INT AS flight_number,
  tailnum::TEXT AS tailnum,
  origin::TEXT AS origin,
  dest::TEXT AS dest,
  dep_delay::INT AS dep_delay_minutes,
  arr_delay::INT AS arr_delay_minutes,
  air_time::INT AS air_minutes,
  distance::INT AS published_miles,
  (dep_time IS NULL)::BOOLEAN AS is_cancelled,
  (NOT dep_time IS NULL AND air_time IS NULL)::BOOLEAN AS is_diverted
FROM raw.flights
WHERE
  time_hour BETWEEN @start_ts AND @end_ts
