"""What tests of SQLMesh's private parts ask of them, and a project to look at."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

CONFIG = """
gateways: {main: {connection: {type: duckdb, database: '%s'}}}
default_gateway: main
disable_anonymized_analytics: true
model_defaults: {dialect: duckdb, start: 2024-03-01}
"""
MODEL = """
MODEL (name s.a, kind FULL, audits (not_null(columns := (n), blocking := false), mine));
SELECT 1 AS n
"""
AUDIT = "AUDIT (name mine);\nSELECT * FROM @this_model WHERE n > 1"
NOW = "2024-03-05 10:30:00"


def part(owner: Any, name: str, named: str) -> Any:
    """The private part, or a failure that names it."""
    missing = object()
    found = getattr(owner, name, missing)
    if found is missing:
        pytest.fail(f"SQLMesh has moved {named}, which dagster_transform.sqlmesh uses")
    return found


def takes(function: Any, *names: str, named: str) -> None:
    """Fail, naming the part, where it does not take these arguments by name."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    if lost := [name for name in names if name not in parameters]:
        pytest.fail(f"SQLMesh's {named} no longer takes {', '.join(lost)}: {list(parameters)}")
