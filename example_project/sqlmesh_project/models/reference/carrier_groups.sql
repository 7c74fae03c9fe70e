MODEL (
  name reference.carrier_groups,
  kind SEED (
    path '../../seeds/carrier_groups.csv'
  ),
  columns (
    carrier TEXT,
    carrier_group TEXT
  ),
  grain carrier,
  owner 'flight-data',
  tags (reference),
  description 'What kind of airline each carrier is: network, low cost or regional.',
  audits (
    UNIQUE_VALUES(columns := (carrier)),
    ACCEPTED_VALUES(column := carrier_group, is_in := ('network', 'low cost', 'regional'))
  )
);
