"""Runs that Dagster believes to go on, whose processes are dead: it is told that they failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

from dagster_transform.dagster._compat import tag_run
from dagster_transform.dagster._compat_schedules import fail_run
from dagster_transform.planning.reconcile import HeldLease, unrenewed
from dagster_transform.runs.tags import UNRENEWED


def fail_dead_runs(
    instance: dg.DagsterInstance,
    leases: Iterable[HeldLease],
    runs: Iterable[dg.DagsterRun],
    now: datetime,
) -> list[str]:
    """Let the runs fail whose claims nobody has renewed for long; what is to be said of it.

    Dagster's run monitoring does so where it can see the processes of runs. The default launcher
    does not see them once their code server has died: such a run would be under way for ever, and
    what it was to build would wait for it. Queries only for runs that nobody renews.

    Args:
        instance: Dagster's.
        leases: All that runs hold, expired ones included; no pauses.
        runs: The runs of these leases.
        now: Aware.
    """
    by_id = {run.run_id: run for run in runs if run.status is dg.DagsterRunStatus.STARTED}
    started = {run_id: _noted(run) for run_id, run in by_id.items()}
    found = unrenewed(leases, started, now)
    for run_id in found.seen:
        tag_run(instance, run_id, {UNRENEWED: now.isoformat()})
    said = []
    for run_id in found.dead:
        why = (
            "Nobody has renewed what this run has claimed since "
            f"{started[run_id]:%Y-%m-%d %H:%M:%S} UTC: its process is dead, or it can't reach the "
            "claims store. What it has not built is built by others."
        )
        if fail_run(instance, run_id, why):
            said.append(f"Run {run_id} failed: nobody has renewed its claims for long.")
    return said


def _noted(run: dg.DagsterRun) -> datetime | None:
    try:
        return datetime.fromisoformat(run.tags[UNRENEWED])
    except (KeyError, ValueError):
        return None
