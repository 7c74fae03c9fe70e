"""A deployment of Dagster on one machine: PostgreSQL, a code server, the webserver and the daemon,
each a process of its own. `make deploy-local` starts it for the example, and tests for projects of
theirs; docs/deployment.md says what a real one has in the place of each part."""
