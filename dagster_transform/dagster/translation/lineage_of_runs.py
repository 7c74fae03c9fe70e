"""What the last materialisations say of which columns are computed from which."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from dagster_transform.dagster._compat import last_metadata
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.metadata import COLUMN_LINEAGE
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph, InputId


def lineage_of_runs(
    graph: Graph,
    translator: TransformTranslator,
    instance: dg.DagsterInstance | None = None,
) -> Mapping[InputId, Mapping[str, list[tuple[InputId, str]]]]:
    """By node and column, what the column was computed from when the node was built last: (id of a
    node or source, column there). dbt's models have it where the run was asked for it.

    Args:
        graph: The combined graph.
        translator: How nodes are called in Dagster.
        instance: Where runs are stored. None: the one of DAGSTER_HOME.
    """
    if instance is None:
        with dg.DagsterInstance.get() as found:
            return lineage_of_runs(graph, translator, found)
    keys = keys_of(graph, translator)
    # Of a node and a source that share a key, the node has what was materialised.
    ids: dict[dg.AssetKey, InputId] = {key: id for id, key in [*keys.assets.items()][::-1]}
    ids.update(keys.nodes)
    lineage: dict[InputId, Mapping[str, list[tuple[InputId, str]]]] = {}
    for key, metadata in last_metadata(instance, list(keys.nodes)).items():
        value = metadata.get(COLUMN_LINEAGE)
        if isinstance(value, dg.TableColumnLineageMetadataValue):
            lineage[keys.nodes[key]] = {
                column: [(ids[d.asset_key], d.column_name) for d in deps if d.asset_key in ids]
                for column, deps in value.column_lineage.deps_by_column.items()
            }
    return lineage
