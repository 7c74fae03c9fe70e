"""The code of models and audits as it is written, for people to look at."""

from __future__ import annotations

from typing import Any

from dagster_transform.sqlmesh import _compat

_MOST = 10_000
"""Characters that are kept of one model or audit: all of them are in each process that Dagster
starts."""


def code_of(thing: Any) -> str:
    """SQL with its statements before and after, or a Python model's function; what is endless is
    cut, and says so. Empty where there is no code: a seed, an external model.

    Args:
        thing: A sqlmesh Model or audit.
    """
    if getattr(thing, "is_python", False):
        return _cut(_python(thing), "#")
    statements = (text.strip().removesuffix(";") for text in _compat.statements_as_written(thing))
    return _cut(";\n\n".join(statements), "--")


def _python(model: Any) -> str:
    """The function that SQLMesh calls; of what it calls itself nothing is shown."""
    found = model.python_env.get(model.entrypoint)
    return str(found.payload) if found is not None and found.is_definition else ""


def _cut(code: str, comment: str) -> str:
    code = code.strip()
    more = len(code) - _MOST
    return code if more <= 0 else f"{code[:_MOST]}\n{comment} ... {more:,} more characters"
