"""What a run of a project claims, and what it reads again once it has its claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from dagster_transform.sqlmesh import names
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.intervals import merged, minus
from dagster_transform.sqlmesh.settings import PROD, Setting, SqlmeshSettings, Work
from dagster_transform.sqlmesh.state.environment import (
    Assessment,
    built_at,
    missing,
    read_intervals,
)
from dagster_transform.walk import SharedResources


def shared_resources_of(context: Any, settings: SqlmeshSettings, *, alone: bool) -> SharedResources:
    """What a session needs of what runs share.

    Args:
        context: A SQLMesh Context; no connection is opened.
        settings: What the run asks for.
        alone: Whether nobody else may use the environment meanwhile: the run plans.
    """
    state, schema = _state(context), context.config.get_state_schema(context.gateway)
    place = f"{names.connection_identity(state)}/{schema or ''}"
    return SharedResources(
        files=files_of(context, Gateways(context).connections.values()),
        environment=f"environment:{place}/{settings.environment}",
        alone=alone,
    )


def connections_of(context: Any, assessment: Assessment) -> list[Any]:
    """The connection configurations of the gateways that the run's models use."""
    connections = Gateways(context).connections
    snapshots = assessment.setting.scheduler.snapshots.values()
    gateways = {s.model_gateway for s in snapshots if s.model_gateway} - {context.selected_gateway}
    return [context.connection_config, *(connections[gateway] for gateway in sorted(gateways))]


def files_of(context: Any, connections: Iterable[Any]) -> frozenset[str]:
    """The DuckDB files that only one process can hold: of these connections, and the state's."""
    found = (names.duckdb_files(connection) for connection in (*connections, _state(context)))
    return frozenset(f"file:{path}" for files in found for path in files)


def _state(context: Any) -> Any:
    return context.config.get_state_connection(context.gateway) or context.connection_config


def claim_key(context: Any, setting: Setting, snapshot: Any) -> str | None:
    """The physical table that building a snapshot writes; None if it writes none.

    Environments that share a version share its table, and with it the key.
    """
    if not snapshot.is_model or snapshot.is_symbolic:
        return None
    gateways = Gateways(context)
    deployable = setting.deployability.is_deployable(snapshot)
    table = exp.to_table(snapshot.table_name(is_deployable=deployable))
    relation = gateways.table(gateways.of(snapshot.model), table)
    return f"table:{relation.connection}/{relation}"


def read_again(
    references: Iterable[str], assessment: Assessment, context: Any, settings: SqlmeshSettings
) -> None:
    """Take note of what others have built since the assessment, now that nobody else can.

    What they have built of a node's batches is left out of its work; a node with nothing left has
    all its batches recorded.

    Args:
        references: Nodes that are claimed and have not started.
        assessment: Its `work` is changed.
        context: A SQLMesh Context.
        settings: What the run asks for.
    """
    setting = assessment.setting
    works = {r: assessment.work[r] for r in references if r in assessment.work}
    works = {r: w for r, w in works.items() if not w.snapshot.is_seed or w.snapshot.intervals}
    known = {r: (_recorded(w, setting), built_at(w.snapshot, setting)) for r, w in works.items()}
    snapshots = [work.snapshot for work in works.values()]
    development = settings.environment != PROD
    read_intervals(context.state_sync, snapshots, development=development)
    changed = {
        r: work
        for r, work in works.items()
        if (_recorded(work, setting), built_at(work.snapshot, setting)) != known[r]
    }
    if not changed:
        return
    left = {
        snapshot.name: list(batches)
        for snapshot, batches in setting.scheduler.batch_intervals(
            missing(setting, changed, ignore_cron=settings.ignore_cron),
            setting.deployability,
            setting.naming,
        ).items()
    }
    for reference, work in changed.items():
        allowed = merged(work.batches)
        batches = [
            part
            for batch in left.get(reference, [])
            for part in minus([batch], minus([batch], allowed))
        ]
        if batches:
            work.batches = batches
        else:  # a rebuild had nothing missing either: it was rebuilt meanwhile
            work.recorded = set(range(len(work.batches)))


def _recorded(work: Work, setting: Setting) -> list[tuple[int, int]]:
    return merged(setting.intervals_of(work.snapshot))
