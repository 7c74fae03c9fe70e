"""What a run selects, over all the ops into which Dagster has split ours."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from dagster_transform.dagster._compat import ops_of_run
from dagster_transform.dagster.translation.keys import Names
from dagster_transform.graph import Graph


@dataclass(frozen=True, slots=True)
class Scope:
    """A run, seen from one of its ops.

    Attributes:
        nodes: Ids of the nodes that the run selects, in any of its ops.
        checks: Ids of the checks likewise.
        later: Projects of which a later op of this run does something.
    """

    nodes: frozenset[str]
    checks: frozenset[str]
    later: frozenset[str]


def scope_of(context: dg.AssetExecutionContext, graph: Graph, names: Names) -> Scope:
    """The scope of the op that is executed now."""
    ops = ops_of_run(context)
    name = context.op_execution_context.op_handle.name
    here = next((i for i, (step, _) in enumerate(ops) if step == name), len(ops))
    nodes: set[str] = set()
    checks: set[str] = set()
    later: set[str] = set()
    for index, (_, keys) in enumerate(ops):
        for key in keys:
            if isinstance(key, dg.AssetCheckKey):
                check = graph.checks[names.checks[key]]
                checks.add(check.id)
                project = check.project
            else:
                node = graph.nodes[names.nodes[key]]
                nodes.add(node.id)
                project = node.project
            if index > here:
                later.add(project)
    return Scope(frozenset(nodes), frozenset(checks), frozenset(later))
