AUDIT (
  name plausible_coordinates,
  dialect duckdb,
  blocking FALSE
);

/* Airports outside the box. The outer Aleutians lie beyond the 180th meridian: they are at home. */
SELECT
  *
FROM @this_model
WHERE
  NOT latitude BETWEEN @south AND @north
  OR (
    NOT longitude BETWEEN @west AND @east AND longitude < 170
  )
