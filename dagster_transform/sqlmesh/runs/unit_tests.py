"""A project's unit tests, which come before a plan of it."""

from __future__ import annotations

import io
from typing import Any

from dagster_transform.sqlmesh.errors import PlanRefusedError


def refuse_failing_tests(name: str, context: Any, *, skip: str) -> None:
    """Run a project's unit tests; as in SQLMesh, one that fails refuses the plan.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context, with the files loaded.
        skip: How to plan without them.

    Raises:
        PlanRefusedError: Some fail.
        Exception: Whatever SQLMesh raises where they can't be run.
    """
    result = context.test(stream=io.StringIO())
    failing = [
        f"{_name(test)}: {_last_line(why)}" for test, why in (*result.failures, *result.errors)
    ]
    if failing:
        raise PlanRefusedError(
            f"Project {name} can't be planned: unit tests fail:\n- " + "\n- ".join(failing),
            remedy=f"Correct them, or set {skip}.",
        )


def _name(test: Any) -> str:
    return str(getattr(test, "test_name", None) or test)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""
