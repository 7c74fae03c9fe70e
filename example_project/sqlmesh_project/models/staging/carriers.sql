MODEL (
  name staging.carriers,
  kind VIEW,
  cron '@daily',
  grain carrier,
  owner 'flight-data',
  tags (staging, reference),
  description 'Carriers with their names and groups.',
  column_descriptions (
    carrier = 'IATA code',
    airline = 'name without legal form',
    carrier_group = 'network, low cost or regional'
  ),
  audits (
    UNIQUE_VALUES(columns := (carrier)),
    NOT_NULL(columns := (airline, carrier_group))
  )
);

SELECT
  airlines.carrier::TEXT AS carrier,
  REGEXP_REPLACE(airlines.name, ' (Inc\.|Co\.|Corporation)$', '')::TEXT AS airline,
  carrier_groups.carrier_group::TEXT AS carrier_group
FROM raw.airlines AS airlines
LEFT JOIN staging.carrier_groups AS carrier_groups
  ON airlines.carrier = carrier_groups.carrier
