"""What a plan of a project's files would do to its environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dagster_transform.graph import Drift, name_of_reference
from dagster_transform.sqlmesh import _compat


def find_drift(
    context: Any,
    state: Any,
    environment: Any,
    snapshots: Mapping[str, Any],
    left_out: Collection[str] = (),
) -> Drift:
    """Compare the files with an environment, as SQLMesh's plan does.

    Args:
        context: A loaded sqlmesh Context.
        state: Its state; None where there is none.
        environment: The environment's record; None: everything is new.
        snapshots: Unversioned snapshots of what the files have (and of what they read of other
            projects of the same state), by name.
        left_out: Names of those that are not looked at.

    Returns:
        The drift of this project's own models and standalone audits. Other projects of a
        multi-repository state are not its matter.
    """
    projects = {config.project for config in context.configs.values()}
    local = {name: s for name, s in snapshots.items() if s.node.project in projects}
    local = {name: s for name, s in local.items() if name not in left_out}
    names = {name: name_of_reference(name) for name in local}
    if environment is None:
        return Drift(new=tuple(sorted(names.values())))
    infos = {info.name: info for info in environment.snapshots}
    removed = [info for name, info in infos.items() if name not in snapshots]
    if any(projects) and removed:  # only then the state may have several projects
        found = state.get_snapshots(removed).values()
        removed = [s for s in found if s.node.project in projects]
    changed: list[str] = []
    affected: list[str] = []
    for name in local.keys() & infos.keys():
        was, now = infos[name].fingerprint, local[name].fingerprint
        if was != now:
            # The metadata's hash has in it what is known of the columns that are read: by itself
            # it says nothing where something upstream differs.
            above = (was.parent_data_hash, was.parent_metadata_hash)
            from_above = above != (now.parent_data_hash, now.parent_metadata_hash)
            own = was.data_hash != now.data_hash or not from_above
            (changed if own else affected).append(names[name])
    other = []
    if not environment.finalized_ts:
        other.append("a plan has not come to its end")
    if _statements(_compat.environment_statements(context)) != _statements(
        state.get_environment_statements(environment.name)
    ):
        other.append("before_all or after_all differ")
    return Drift(
        new=tuple(sorted(names[name] for name in local.keys() - infos.keys())),
        changed=tuple(sorted(changed)),
        affected=tuple(sorted(affected)),
        removed=tuple(sorted(name_of_reference(info.name) for info in removed)),
        other=tuple(other),
    )


def _statements(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda statements: statements.project or "")
