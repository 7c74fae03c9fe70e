"""Which store a run's claims are kept in, and as whom it claims."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform.claims import Owner, OwnerKind, Store, Timing, open_store
from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat import sqlite_folder, storage_url
from dagster_transform.dagster.execution.resource import TransformResource, is_tick
from dagster_transform.graph import Graph
from dagster_transform.planning import connection_slot, slots_of
from dagster_transform.runs.claiming import Manner, RunClaims

CLAIMS_VARIABLE = "DAGSTER_TRANSFORM_CLAIMS_URL"
_FILE = "dagster_transform_claims.db"
_PERSON, _TICK = 1, 0


def open_claims(instance: dg.DagsterInstance, config: TransformConfig) -> Store:
    """The claims store of a Dagster instance.

    Raises:
        ClaimsError: It can't be used, or the timing in transform.yaml is wrong.
    """
    return open_store(claims_url(instance, config), timing_of(config))


def claims_of_instance(config: TransformConfig) -> tuple[Store, Callable[[str], str]]:
    """The claims store of the instance that DAGSTER_HOME names, and what Dagster says of a run.

    Returns:
        The store; and a function of a run's id that gives its status (`STARTED`) while it is
        alive, "" where it has ended or Dagster does not know it.

    Raises:
        ClaimsError: The store can't be used.
    """
    home = os.environ.get("DAGSTER_HOME", "").strip()
    instance = dg.DagsterInstance.get() if home else dg.DagsterInstance.ephemeral()

    def status(run_id: str) -> str:
        run = instance.get_run_by_id(run_id)
        return run.status.value if run is not None and not run.is_finished else ""

    return open_claims(instance, config), status


def claims_url(instance: dg.DagsterInstance, config: TransformConfig) -> str | None:
    """Where claims are kept: `claims_url` of transform.yaml, else DAGSTER_TRANSFORM_CLAIMS_URL,
    else the PostgreSQL of Dagster's storage, else a SQLite file beside Dagster's.

    Returns:
        None for an instance that keeps its runs in memory: so are its claims.
    """
    if given := config.claims_url or os.environ.get(CLAIMS_VARIABLE, "").strip():
        return given
    if url := storage_url(instance):
        return url
    folder = sqlite_folder(instance)
    return f"sqlite:///{Path(folder).resolve() / _FILE}" if folder is not None else None


def timing_of(config: TransformConfig) -> Timing:
    """How long claims live.

    Raises:
        TimingError: The lease is shorter than four heartbeats.
    """
    heartbeat = config.claims_heartbeat
    return Timing(lease=config.claims_lease, heartbeat=heartbeat, poll=min(2.0, heartbeat))


def claims_of(
    context: Any, graph: Graph, config: TransformConfig, options: TransformResource
) -> RunClaims:
    """The claims of one op, of which nothing is taken yet.

    Raises:
        ClaimsError: The claims store can't be used.
        SlotError: A node asks for concurrency tags in a way that can't be.
    """
    instance, tags = context.instance, context.run.tags
    slots = {
        node.id: found
        for node in graph.nodes.values()
        if (found := slots_of(node, config.tags, config.connections))
    }
    for check in graph.checks.values() if config.connections else ():
        judged = graph.nodes.get(check.target) or graph.sources[check.target]
        if slot := connection_slot(judged.relation, check.project, config.connections):
            slots[check.id] = (slot,)

    def ended(run_id: str) -> bool:
        run = instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    manner = Manner(
        owner=owner_of(context, tick=is_tick(tags)),
        skip=options.skips_claimed(tags),
        wait=options.claim_wait,
        ended=ended,
        slots_of=lambda unit: slots.get(unit, ()),
        log=context.log.info,
    )
    return RunClaims(open_claims(instance, config), manner)


def owner_of(context: Any, *, tick: bool) -> Owner:
    """As whom a run claims.

    Args:
        context: Dagster's context of an op.
        tick: Whether a schedule or sensor launched the run.
    """
    run = context.run
    attempt = 0
    if run.root_run_id and (record := context.instance.get_run_record_by_id(run.run_id)):
        attempt = int(record.create_timestamp.timestamp())  # later attempts are created later
    return Owner(
        kind=OwnerKind.RUN,
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        attempt=attempt,
        reason=run.job_name if not run.job_name.startswith("__") else "",
        priority=_TICK if tick else _PERSON,
    )
