"""The arguments that a generic test is called with, for people to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dagster_transform.dbt.files.manifest import Resource

_JUDGED = ("model", "column_name")
"""Which model and which column a test judges is said elsewhere."""
_MOST = 1_000
"""Characters that are kept of one argument: a list of accepted values may be endless."""


def arguments_of(test: Resource) -> dict[str, str]:
    """The arguments of a generic test as text, by name; none of a singular one."""
    found: Mapping[str, Any] = (test.get("test_metadata") or {}).get("kwargs") or {}
    return {name: _text(found[name]) for name in sorted(found) if name not in _JUDGED}


def call_of(test: Resource) -> str | None:
    """`dbt test relationships(column_name := id, to := ref('b'))` of a generic test; None of a
    singular one."""
    metadata = test.get("test_metadata") or {}
    if not metadata.get("name"):
        return None
    name = ".".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    column = test.get("column_name")
    given = {**({"column_name": str(column)} if column else {}), **arguments_of(test)}
    call = ", ".join(f"{key} := {value}" for key, value in given.items())
    return f"dbt test {name}({call})"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
