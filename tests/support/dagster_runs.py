"""What Dagster says of a run that goes on."""

from __future__ import annotations

import dagster as dg

from tests.support.transforms import Transform


def status(transform: Transform, run_id: str) -> dg.DagsterRunStatus:
    run = transform.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status
