MODEL (
  name staging.extra_airports,
  kind SEED (
    path '../../seeds/extra_airports.csv'
  ),
  columns (
    faa TEXT,
    name TEXT,
    lat DOUBLE,
    lon DOUBLE,
    alt INT,
    tzone TEXT
  ),
  grain faa,
  owner 'flight-data',
  tags (staging, reference),
  description 'Destinations in Puerto Rico and the Virgin Islands, which the airport list lacks.',
  audits (
    UNIQUE_VALUES(columns := (faa))
  )
);
