"""`dagster-transform lineage`: which columns a column is computed from, in three shapes."""
