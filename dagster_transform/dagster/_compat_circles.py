"""Blocking checks that would close a circle in Dagster's graph of ops.

Dagster lets the steps that read an asset wait for the asset's blocking checks. One that also reads
what lies below such a step would wait for the step, and the whole code location would not load.
Nobody but Dagster knows all assets of a location, so this stands where it has put them together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from weakref import WeakSet

from dagster import AssetCheckKey, AssetsDefinition, JobDefinition
from dagster._core.definitions.assets.job import asset_job
from dagster._core.definitions.dependency import (
    BlockingAssetChecksDependencyDefinition,
    DependencyDefinition,
)

_log = logging.getLogger("dagster_transform")
_build_node_deps = asset_job.build_node_deps
_resolve_cycles = asset_job._attempt_resolve_node_cycles
_split: WeakSet[Any] = WeakSet()
"""Graphs that Dagster has split ops in: what is circular there stays so."""
_OURS = "transform"
_not_held_back: dict[AssetCheckKey, dict[str, str]] = {}
"""By check: the ops that do not wait for it, with what they make."""


class Gate(NamedTuple):
    """A step waits for a check: by the names of its op, of its input, and of the check's output."""

    op: str
    input: str
    check_op: str
    check_output: str


def circular(reads: Mapping[str, Iterable[str]], gates: Iterable[Gate]) -> list[Gate]:
    """The gates that can't be: their check is carried out after the step that would wait for it.

    Each is tried after the ones before it, so that of two which exclude each other one stays.

    Args:
        reads: By op: the ops that it waits for whatever its gates are.
        gates: All gates.
    """
    above = {op: set(others) for op, others in reads.items()}
    found: list[Gate] = []
    for gate in sorted(gates):
        if gate.op in _reachable(above, gate.check_op):
            found.append(gate)
        else:
            above.setdefault(gate.op, set()).add(gate.check_op)
    return found


def let_checks_close_no_circle() -> None:
    """From now on such a check of ours does not hold back such a step, and a warning says so."""
    asset_job._attempt_resolve_node_cycles = _resolve_and_remember
    asset_job.build_node_deps = _node_deps_without_circles


def not_held_back(check: AssetCheckKey, job_def: JobDefinition) -> list[str]:
    """What a check that is carried out after its asset's own op could not hold back in a job."""
    ops = {node.name for node in job_def.nodes_in_topological_order}
    return sorted(made for op, made in _not_held_back.get(check, {}).items() if op in ops)


def _resolve_and_remember(asset_graph: Any) -> Any:
    split = _resolve_cycles(asset_graph)
    _split.add(split)
    return split


def _node_deps_without_circles(asset_graph: Any) -> Any:
    deps, assets_by_node = _build_node_deps(asset_graph)
    if asset_graph not in _split or not asset_job._has_cycles(deps):
        return deps, assets_by_node
    ours = {
        handle.name: assets
        for handle, assets in assets_by_node.items()
        if _OURS in assets.required_resource_keys
    }
    reads: dict[str, set[str]] = {}
    gates: dict[Gate, Any] = {}
    for invocation, inputs in deps.items():
        op = invocation.alias or invocation.name
        above = reads.setdefault(op, set())
        for name, dependency in inputs.items():
            for one in _plain(dependency):
                check = isinstance(dependency, BlockingAssetChecksDependencyDefinition) and (
                    one is not dependency.other_dependency and one.node in ours
                )
                if check:
                    gates[Gate(op, name, one.node, one.output)] = one
                else:
                    above.add(one.node)
    left_out = circular(reads, gates)
    made = {handle.name: _names(assets) for handle, assets in assets_by_node.items()}
    for gate in left_out:
        key = ours[gate.check_op].check_specs_by_output_name[gate.check_output].key
        known = _not_held_back.setdefault(key, {})
        if gate.op not in known:
            known[gate.op] = made[gate.op]
            _log.warning(
                "Check %s on %s does not hold back %s: it also judges what lies below that.",
                key.name,
                key.asset_key.to_user_string(),
                made[gate.op],
            )
    dropped = set(left_out)
    return {
        invocation: {
            name: _without(dependency, invocation.alias or invocation.name, name, dropped)
            for name, dependency in inputs.items()
        }
        for invocation, inputs in deps.items()
    }, assets_by_node


def _names(assets: AssetsDefinition) -> str:
    return ", ".join(sorted(key.to_user_string() for key in assets.keys))


def _plain(dependency: Any) -> list[Any]:
    if isinstance(dependency, BlockingAssetChecksDependencyDefinition):
        return list(dependency.get_node_dependencies())
    return [dependency]


def _without(dependency: Any, op: str, name: str, dropped: set[Gate]) -> Any:
    if not isinstance(dependency, BlockingAssetChecksDependencyDefinition):
        return dependency
    checks: list[DependencyDefinition] = [
        one
        for one in dependency.asset_check_dependencies
        if Gate(op, name, one.node, one.output) not in dropped
    ]
    return BlockingAssetChecksDependencyDefinition(
        asset_check_dependencies=checks, other_dependency=dependency.other_dependency
    )


def _reachable(above: Mapping[str, Iterable[str]], op: str) -> set[str]:
    found: set[str] = set()
    pending = [op]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(above.get(current, ()))
    return found
