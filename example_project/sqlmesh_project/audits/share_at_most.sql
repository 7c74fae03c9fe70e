AUDIT (
  name share_at_most,
  dialect duckdb,
  defaults (
    at_least = 0
  ),
  blocking FALSE
);

/* Rows where a part is more than a share of the whole; small wholes are not judged. */
SELECT
  *
FROM @this_model
WHERE
  @whole >= @at_least AND @part > @share * @whole
