"""Nodes that are not built because a blocking check of another asset has failed in this run.

Dagster leaves out what is downstream of the op of such a check only where a step needs all steps
above it to have succeeded. With `transform_executor()` none does, so that a failed model stops
nothing but what reads it; so who reads what failed is seen to here.
"""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from dagster_transform.dagster._compat import assets_below, blocking_failures
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.graph import NodeId, UnitId
from dagster_transform.planning import Outcome, Readiness


def failed_above(
    context: dg.AssetExecutionContext, keys: Keys, nodes: Collection[NodeId]
) -> dict[UnitId, Readiness]:
    """Why nodes are not built; a query where the run has checks of other assets, none else.

    Args:
        context: Dagster's context of the op.
        keys: Of the graph.
        nodes: What the op is to build.
    """
    found: dict[UnitId, Readiness] = {}
    for failure in blocking_failures(context, keys.check_ids):
        for key in assets_below(context, failure.asset_key, keys.nodes):
            if (node := keys.nodes[key]) in nodes:
                name = f"{failure.asset_key.to_user_string()}:{failure.check_name}"
                found.setdefault(node, Readiness(Outcome.BLOCKED, f"{name} failed in this run"))
    return found
