"""What a run selects, over all the ops into which Dagster has split ours."""

from __future__ import annotations

import dagster as dg

from dagster_transform.dagster._compat import ops_of_run
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.graph import CheckId, Graph, NodeId
from dagster_transform.runs.options import RunScope


def scope_of(context: dg.AssetExecutionContext, graph: Graph, keys: Keys) -> RunScope:
    """The scope of the run, seen from the op that is executed now."""
    ops = ops_of_run(context)
    name = context.op_execution_context.op_handle.name
    here = next((i for i, (step, _) in enumerate(ops) if step == name), len(ops))
    nodes: set[NodeId] = set()
    checks: set[CheckId] = set()
    later: set[str] = set()
    for index, (_, selected) in enumerate(ops):
        for key in selected:
            if isinstance(key, dg.AssetCheckKey):
                check = graph.checks[keys.check_ids[key]]
                checks.add(check.id)
                project = check.project
            else:
                node = graph.nodes[keys.nodes[key]]
                nodes.add(node.id)
                project = node.project
            if index > here:
                later.add(project)
    return RunScope(frozenset(nodes), frozenset(checks), frozenset(later))
