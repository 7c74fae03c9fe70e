"""Which physical tables are there: others make some too, whenever they like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagster_transform.sqlmesh import _compat_connections
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.work import Work


def forget_tables(evaluation: Evaluation) -> None:
    """Forget what was looked for before; no other thread may look meanwhile."""
    for adapter in evaluation.evaluator.adapters.values():
        _compat_connections.forget_tables(adapter)


def look_for_tables(works: Iterable[Work], evaluation: Evaluation) -> None:
    """Find out which tables have to be made before anything is recorded of them.

    It ends by closing every other thread's connections, so nothing else may run meanwhile.

    Args:
        works: What is built; `create` is set.
        evaluation: What the run's nodes share.
    """
    forget_tables(evaluation)
    waiting = [work for work in works if not work.recorded]
    found = evaluation.evaluator.get_snapshots_to_create(
        [work.snapshot for work in waiting], evaluation.deployability
    )
    to_create = {snapshot.snapshot_id for snapshot in found}
    for work in waiting:
        work.create = work.snapshot.snapshot_id in to_create


def make_table(evaluation: Evaluation, snapshot: Any) -> None:
    """Make the physical table of a snapshot, empty, where it is not there; other threads may be at
    work."""
    allowed = evaluation.evaluate_kwargs
    evaluation.evaluator.create_snapshot(
        snapshot=snapshot,
        snapshots=evaluation.by_name,
        deployability_index=evaluation.deployability,
        allow_destructive_snapshots=allowed.get("allow_destructive_snapshots") or set(),
        allow_additive_snapshots=allowed.get("allow_additive_snapshots") or set(),
    )


def table_exists(evaluation: Evaluation, snapshot: Any) -> bool:
    """Whether the physical table of a snapshot is there now; other threads may be at work."""
    adapter, table = evaluation.adapter_of(snapshot), evaluation.physical_table(snapshot)
    _compat_connections.forget_tables(adapter, table)
    return bool(adapter.table_exists(table))
