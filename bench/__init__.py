"""`make bench`: what dagster-transform costs, measured against what it stands beside."""
