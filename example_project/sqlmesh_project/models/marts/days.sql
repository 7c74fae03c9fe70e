MODEL (
  name marts.days,
  kind VIEW,
  cron '@daily',
  grain flight_date,
  owner 'flight-data',
  tags (marts, flights),
  description 'The year by day: traffic, cancellations, delay and how bad the day was.',
  column_descriptions (
    mean_dep_delay_7_days = 'over this day and the six before',
    delay_rank = '1 is the worst day of the year'
  ),
  audits (
    UNIQUE_VALUES(columns := (flight_date)),
    NUMBER_OF_ROWS(threshold := 364),
    FORALL(criteria := (cancelled_share BETWEEN 0 AND 1, carriers BETWEEN 10 AND 16))
  )
);

WITH totals AS (
  SELECT
    flight_date,
    COUNT(*) AS carriers,
    SUM(flights) AS flights,
    SUM(cancelled) AS cancelled,
    SUM(departed) AS departed,
    SUM(dep_delay_minutes) AS dep_delay_minutes
  FROM marts.carrier_days
  GROUP BY
    flight_date
)
SELECT
  flight_date::DATE AS flight_date,
  DAYNAME(flight_date)::TEXT AS weekday,
  carriers::INT AS carriers,
  flights::INT AS flights,
  (cancelled / flights)::DOUBLE AS cancelled_share,
  (dep_delay_minutes / NULLIF(departed, 0))::DOUBLE AS mean_dep_delay,
  (
    SUM(dep_delay_minutes) OVER week / SUM(departed) OVER week
  )::DOUBLE AS mean_dep_delay_7_days,
  RANK() OVER (ORDER BY dep_delay_minutes / NULLIF(departed, 0) DESC NULLS LAST)::INT AS delay_rank
FROM totals
WINDOW week AS (ORDER BY flight_date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
