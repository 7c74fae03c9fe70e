"""Where columns are known from, and so what helps where one is not known. Pure."""

from __future__ import annotations

from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.graph.errors import UnknownColumnError

_OF_DBT = (
    "dbt knows those of the model's `columns` in schema.yml (then `dagster-transform prepare`); "
    "the rest is known once it was built with the run options "
    "`dbt: {fetch_columns: true, fetch_column_lineage: true}`, read through DAGSTER_HOME"
)
_NO_HOME = ", and DAGSTER_HOME is not set here"
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
    if graph.is_node(error.id):
        of_dbt = _OF_DBT + ("" if home else _NO_HOME) + "."
        where = of_dbt if framework == "dbt" else _OF_SQLMESH
    else:
        where = _OF_DBT_SOURCE if framework == "dbt" else _OF_SQLMESH_SOURCE
    remedy = " ".join(part for part in (error.remedy, where) if part)
    return ColumnNotKnownError(error.cause, remedy=remedy)
