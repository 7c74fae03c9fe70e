"""What is done outside of Dagster is seen: sensors that watch an environment, or a folder."""
