"""How long nodes took to build, as Dagster's storage has it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat import last_metadata
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph, NodeId

DURATION = "dagster_transform/duration_seconds"


def past_durations(
    config: TransformConfig,
    graph: Graph,
    *,
    instance: dg.DagsterInstance | None = None,
    translator: TransformTranslator | None = None,
) -> dict[NodeId, float]:
    """How long the last build of each node took, in seconds; without nodes of which nothing is
    known.

    Args:
        config: Where the projects are.
        graph: The combined graph.
        instance: Where runs are stored. None: what DAGSTER_HOME says; where that is not set,
            nothing is known.
        translator: How nodes are called in Dagster.
    """
    keys = keys_of(graph, translator or TransformTranslator(config.root))
    if instance is not None:
        return _durations(instance, keys.nodes)
    if not os.environ.get("DAGSTER_HOME"):
        return {}
    with dg.DagsterInstance.get() as found:
        return _durations(found, keys.nodes)


def _durations(
    instance: dg.DagsterInstance, nodes: Mapping[dg.AssetKey, NodeId]
) -> dict[NodeId, float]:
    found: dict[NodeId, float] = {}
    for key, metadata in last_metadata(instance, list(nodes)).items():
        value = metadata.get(DURATION)
        if value is not None and isinstance(value.value, int | float):
            found[nodes[key]] = float(value.value)
    return found
