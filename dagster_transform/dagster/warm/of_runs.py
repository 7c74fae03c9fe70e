"""Imports what each run needs, and keeps it from being copied.

Nothing is called here that opens a file or starts a thread: this process is forked. Nor is anything
raised: without it no run would begin.
"""

import gc
from contextlib import suppress
from importlib import import_module

from dagster_transform.dagster._compat_warm import BEGINS_RUNS

for name in (
    BEGINS_RUNS,
    "dagster_transform.dagster._compat_connections",
    "dagster_transform.dagster._compat_events",
    "dagster_transform.dagster.definitions.build",
    "dagster_transform.dagster.execution.run",
    "dagster_transform.dagster.jobs.planning",
):
    with suppress(Exception):
        import_module(name)
gc.freeze()
