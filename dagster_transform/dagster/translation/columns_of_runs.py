"""What the last materialisations say of columns: which there are, and which are computed from
which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from dagster_transform.dagster._compat import last_metadata
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.metadata import COLUMN_LINEAGE, COLUMNS
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph, InputId


@dataclass(frozen=True, slots=True)
class ColumnsOfRuns:
    """What was found out of dbt's models when they were built last, where the run was asked for it.

    Attributes:
        lineage: By node and column, what the column was computed from: (id of a node or source,
            column there).
        columns: Names of the columns that the node's table has.
    """

    lineage: Mapping[InputId, Mapping[str, list[tuple[InputId, str]]]]
    columns: Mapping[InputId, Sequence[str]]


def columns_of_runs(
    graph: Graph,
    translator: TransformTranslator,
    instance: dg.DagsterInstance | None = None,
) -> ColumnsOfRuns:
    """What the last materialisations of nodes say of their columns.

    Args:
        graph: The combined graph.
        translator: How nodes are called in Dagster.
        instance: Where runs are stored. None: the one of DAGSTER_HOME.
    """
    if instance is None:
        with dg.DagsterInstance.get() as found:
            return columns_of_runs(graph, translator, found)
    keys = keys_of(graph, translator)
    # Of a node and a source that share a key, the node has what was materialised.
    ids: dict[dg.AssetKey, InputId] = {key: id for id, key in [*keys.assets.items()][::-1]}
    ids.update(keys.nodes)
    lineage: dict[InputId, Mapping[str, list[tuple[InputId, str]]]] = {}
    columns: dict[InputId, Sequence[str]] = {}
    for key, metadata in last_metadata(instance, list(keys.nodes)).items():
        value = metadata.get(COLUMN_LINEAGE)
        if isinstance(value, dg.TableColumnLineageMetadataValue):
            lineage[keys.nodes[key]] = {
                column: [(ids[d.asset_key], d.column_name) for d in deps if d.asset_key in ids]
                for column, deps in value.column_lineage.deps_by_column.items()
            }
        table = metadata.get(COLUMNS)
        if isinstance(table, dg.TableSchemaMetadataValue):
            columns[keys.nodes[key]] = [column.name for column in table.schema.columns]
    return ColumnsOfRuns(lineage, columns)
