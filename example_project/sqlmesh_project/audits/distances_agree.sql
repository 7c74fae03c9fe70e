AUDIT (
  name distances_agree,
  dialect duckdb,
  defaults (
    tolerance = 0.01
  )
);

/* Rows whose two distances differ by more than the tolerance, a share of the second. */
SELECT
  *
FROM @this_model
WHERE
  ABS(@left_miles - @right_miles) > @tolerance * @right_miles
