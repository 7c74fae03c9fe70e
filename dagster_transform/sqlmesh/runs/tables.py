"""Which physical tables are there: others make some too, whenever they like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.settings import Setting, Work


def look_again(setting: Setting) -> None:
    """Forget what was looked for before; no other thread may look meanwhile."""
    for adapter in setting.scheduler.snapshot_evaluator.adapters.values():
        _compat.forget_tables(adapter)


def look_for_tables(works: Iterable[Work], setting: Setting) -> None:
    """Find out which tables have to be made before anything is recorded of them.

    It ends by closing every other thread's connections, so nothing else may run meanwhile.

    Args:
        works: What is built; `create` is set.
        setting: What the run's nodes share.
    """
    look_again(setting)
    waiting = [work for work in works if not work.recorded]
    evaluator = setting.scheduler.snapshot_evaluator
    found = evaluator.get_snapshots_to_create([w.snapshot for w in waiting], setting.deployability)
    to_create = {snapshot.snapshot_id for snapshot in found}
    for work in waiting:
        work.create = work.snapshot.snapshot_id in to_create


def table_exists(setting: Setting, snapshot: Any) -> bool:
    """Whether the physical table of a snapshot is there now; other threads may be at work."""
    adapter = setting.scheduler.snapshot_evaluator.get_adapter(snapshot.model_gateway)
    table = snapshot.table_name(is_deployable=setting.deployability.is_deployable(snapshot))
    _compat.forget_tables(adapter, table)
    return bool(adapter.table_exists(table))
