"""What is wrong with Dagster's instance, its daemons, and the definitions that it loads."""
