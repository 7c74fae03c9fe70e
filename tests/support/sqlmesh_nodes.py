"""Nodes of SQLMesh models as values, without a project."""

from __future__ import annotations

from typing import Any

from dagster_transform.graph import Node, Relation


def node(name: str = "marts.delays", **fields: Any) -> Node:
    """The node of a model; its key is `db`, and the parts of its name unless `parts` are given."""
    parts = fields.pop("parts", ("db", *name.split(".")))
    reference = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    return Node(
        **{
            "id": f"p:{reference}", "project": "p", "framework": "sqlmesh", "reference": reference,
            "name": name, "kind": "FULL",
            "relation": Relation("duckdb:/w", "db", parts[-2], parts[-1]),
            **fields,
        }
    )  # fmt: skip
