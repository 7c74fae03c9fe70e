MODEL (
  name staging.planes,
  kind FULL,
  cron '@weekly',
  grain tailnum,
  owner 'fleet-desk',
  tags (staging, fleet),
  description 'Aircraft by tail number.',
  column_descriptions (
    year_built = 'null where the register does not say',
    engine_type = 'Turbo-fan, Turbo-jet, Reciprocating and so on'
  ),
  audits (
    UNIQUE_VALUES(columns := (tailnum)),
    NOT_NULL(columns := (tailnum, manufacturer, seats)),
    ACCEPTED_RANGE(column := year_built, min_v := 1950, max_v := 2013),
    NOT_NULL_PROPORTION(column := year_built, threshold := 0.95)
  )
);

SELECT
  tailnum::TEXT AS tailnum,
  year::INT AS year_built,
  manufacturer::TEXT AS manufacturer,
  model::TEXT AS model,
  engines::INT AS engines,
  seats::INT AS seats,
  engine::TEXT AS engine_type
FROM raw.planes
