"""What SQLMesh's users expect to see of a model, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from dagster_transform.graph import RAW_CODE
from dagster_transform.sqlmesh.files.code import code_of


def properties_of(model: Any, default_dialect: str | None) -> dict[str, str]:
    """What there is to say of a model that its node has no field for; what is empty is left out.

    Args:
        model: A sqlmesh Model.
        default_dialect: The project's, for a model that has none.
    """
    dialect = model.dialect or default_dialect

    def sql(expressions: Iterable[Any]) -> str:
        return ", ".join(
            e.sql(dialect=dialect) if isinstance(e, exp.Expr) else str(e) for e in expressions
        )

    kind = model.kind
    time_column = getattr(kind, "time_column", None)
    found = {
        # A dialect may have settings behind a comma: "duckdb,normalization_strategy=lowercase".
        "dialect": (dialect or "").split(",")[0].strip(),
        "language": "python" if model.is_python else "",
        "gateway": model.gateway or "",
        "materialization": getattr(kind, "materialization", None) or "",
        "time_column": sql([time_column.column]) if time_column else "",
        "unique_key": sql(model.unique_key),
        "partitioned_by": sql(model.partitioned_by),
        "clustered_by": sql(model.clustered_by),
        "grains": sql(model.grains),
        "references": sql(model.references),
        "signals": ", ".join(name for name, _ in model.signals),
        "start": str(model.start or ""),
        "end": str(model.end or ""),
        RAW_CODE: code_of(model),
    }
    return {key: value for key, value in found.items() if value}
