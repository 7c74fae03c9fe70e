"""Job groups: the DAG split by cadence and dependencies, as a pure plan."""
