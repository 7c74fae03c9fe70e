"""`dagster-transform job-groups`: making, checking and showing job groups."""
