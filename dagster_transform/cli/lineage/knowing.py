"""Where columns are known from, and so what helps where one is not known. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection

from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph, InputId
from dagster_transform.graph.errors import UnknownColumnError

_FETCH = json.dumps(
    {
        "resources": {
            "transform": {"config": {"dbt": {"fetch_columns": True, "fetch_column_lineage": True}}}
        }
    }
)
"""Run config; JSON is YAML, too, so that it can be pasted into the launchpad."""
_OF_DBT = (
    "dbt knows those of the {thing}'s `columns` in schema.yml (then `dagster-transform prepare`); "
    "the rest is known, through DAGSTER_HOME{home}, once a run has built it with this run config:\n"
    "  {fetch}\n"
    "Paste it into the launchpad (Shift and Materialize), or type\n"
    "  dagster asset materialize -f definitions.py --select 'key:\"{name}\"' \\\n"
    "    --config-json '{fetch}'"
)
_NO_HOME = " (which is not set here)"
_OF_DBT_SOURCE = (
    "Known are the source's `columns` in schema.yml, and what its readers name. Then "
    "`dagster-transform prepare`."
)
_OF_SQLMESH = (
    "SQLMesh knows what the model's query names, or its `columns` say; of a `SELECT *` from a "
    "table that is not its own, what external_models.yaml has "
    "(`sqlmesh create_external_models`). Then `dagster-transform prepare`."
)
_OF_SQLMESH_SOURCE = (
    "Known are the columns in external_models.yaml (`sqlmesh create_external_models`), and what "
    "its readers name. Then `dagster-transform prepare`."
)


class ColumnNotKnownError(TransformError):
    """A node or source has no column of that name, as far as its columns are known."""


def not_known(
    error: UnknownColumnError, graph: Graph, framework: str, *, home: bool
) -> ColumnNotKnownError:
    """The error with what helps: the database may well have the column.

    Args:
        error: What is not known.
        graph: The graph.
        framework: Of the node's project.
        home: Whether the Dagster instance was asked.
    """
    where = columns_from(graph, error.id, framework, home=home)
    remedy = " ".join(part for part in (error.remedy, where) if part)
    return ColumnNotKnownError(error.cause, remedy=remedy)


def columns_from(graph: Graph, id: InputId, framework: str, *, home: bool) -> str:
    """What helps where columns of a node or source are not known.

    Args:
        graph: The graph.
        id: Of the node or source.
        framework: Of its project.
        home: Whether the Dagster instance was asked.
    """
    node = graph.node(id)
    if node is None:
        return _OF_DBT_SOURCE if framework == "dbt" else _OF_SQLMESH_SOURCE
    if framework != "dbt":
        return _OF_SQLMESH
    return _OF_DBT.format(
        thing=node.kind if node.kind in ("seed", "snapshot") else "model",
        home="" if home else _NO_HOME,
        fetch=_FETCH,
        name=node.name,
    )


def lineage_from(frameworks: Collection[str], *, home: bool) -> str:
    """What helps where nothing is known of what columns are computed from.

    Args:
        frameworks: Of the nodes of which it is not known.
        home: Whether the Dagster instance was asked.
    """
    found = []
    if "sqlmesh" in frameworks:
        found.append(
            "SQLMesh's come from `dagster-transform prepare` (column_lineage: true of the project)."
        )
    if "dbt" in frameworks:
        found.append(
            f"dbt's come, through DAGSTER_HOME{'' if home else _NO_HOME}, from the last run that "
            "had this run config, in the launchpad or as --config-json of `dagster asset "
            f"materialize`:\n  {_FETCH}"
        )
    return " ".join(found)
