"""How long builds of nodes are expected to take, where nobody has seen one."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_transform.graph import Node, NodeId

_SECONDS_BY_KIND = {
    # SQLMesh's kinds and dbt's materialisations. They are compared with each other only: what
    # scans all of its inputs takes longer than what scans an interval, a view next to nothing.
    "VIEW": 1.0,
    "EMBEDDED": 1.0,
    "EPHEMERAL": 1.0,
    "SEED": 2.0,
    "SNAPSHOT": 20.0,
    "INCREMENTAL": 20.0,
    "SCD": 30.0,
    "MATERIALIZED_VIEW": 30.0,
    "FULL": 60.0,
    "TABLE": 60.0,
}
_OTHERWISE = 30.0


def expected_seconds(node: Node, durations: Mapping[NodeId, float]) -> float:
    """How long a build of a node is expected to take, in seconds.

    Args:
        node: The node.
        durations: What is known of past builds, in seconds.
    """
    known = durations.get(node.id)
    if known is not None:
        return known
    kind = node.kind.upper()
    # INCREMENTAL_BY_TIME_RANGE, SCD_TYPE_2...
    return _SECONDS_BY_KIND.get(kind, _SECONDS_BY_KIND.get(kind.partition("_")[0], _OTHERWISE))
