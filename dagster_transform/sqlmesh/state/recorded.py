"""What an environment's plan is, and when which of its models was last built: what a sensor looks
for, without models' files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dagster_transform.sqlmesh import _compat, _compat_state
from dagster_transform.sqlmesh.intervals import Interval, merged
from dagster_transform.sqlmesh.settings import PROD
from dagster_transform.sqlmesh.state.environment import (
    deployability_of,
    promoted,
    read_intervals,
)


@dataclass(frozen=True, slots=True)
class RecordedEnvironment:
    """An environment as the state has it.

    Attributes:
        plan_id: Its plan; None: it was never planned.
        finalized: Whether that plan has come to its end.
        built_at: Of each promoted model, by fully qualified name: when something of it was last
            built, epoch milliseconds; without those of which that is not known.
        intervals: What of each of these is there: from where to where, epoch milliseconds.
    """

    plan_id: str | None = None
    finalized: bool = False
    built_at: dict[str, int] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)


def read_recorded(context: Any, environment: str) -> RecordedEnvironment:
    """What the state has of an environment; nothing is made or changed.

    Args:
        context: A SQLMesh Context, whose files need not be loaded.
        environment: The environment's name.

    Raises:
        Exception: Whatever SQLMesh or a driver raises.
    """
    state = _compat.existing_state(context)
    record = state.get_environment(environment) if state is not None else None
    if state is None or record is None:
        return RecordedEnvironment()
    if not record.finalized_ts:
        return RecordedEnvironment(str(record.plan_id))
    shown = promoted(record, {info.name for info in record.snapshots})
    found: dict[str, tuple[int | None, list[Interval]]] = {}
    if environment == PROD:
        infos = {(info.name, info.version): info.name for info in record.snapshots}
        for each in _compat_state.intervals_of(state, record.snapshots):
            if (each.name, each.version) in infos and each.name in shown:
                before, known = found.get(each.name, (None, []))
                stamp = max(filter(None, (before, each.last_altered_ts)), default=None)
                found[each.name] = (stamp, [*known, *each.intervals])
    else:
        # Whose tables a development environment shows depends on all of its snapshots.
        snapshots = _compat.fetch_snapshots(state, record.snapshots, queries_of=()).values()
        read_intervals(state, snapshots, development=True)
        index = deployability_of(snapshots, development=True)
        for snapshot in snapshots:
            if snapshot.name in shown:
                own = index.is_representative(snapshot)
                stamp = snapshot.last_altered_ts if own else snapshot.dev_last_altered_ts
                there = snapshot.intervals if own else snapshot.dev_intervals
                found[snapshot.name] = (stamp, list(there))
    built = {name: (at, merged(there)) for name, (at, there) in found.items() if at and there}
    return RecordedEnvironment(
        str(record.plan_id),
        True,
        {name: at for name, (at, _) in built.items()},
        {name: (there[0][0], there[-1][1]) for name, (_, there) in built.items()},
    )
