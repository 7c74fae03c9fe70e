"""Whether dbt is installed here; found out without importing it."""

from __future__ import annotations

import importlib.util

from dagster_transform.dbt.errors import DbtMissingError


def require_dbt() -> None:
    """Raises DbtMissingError where dbt is not installed; imports none of it."""
    try:
        found = importlib.util.find_spec("dbt.cli") is not None
    except ModuleNotFoundError:  # there is no package `dbt` at all
        found = False
    if not found:
        raise DbtMissingError(
            "dbt is not installed in this Python environment.",
            remedy="pip install 'dagster-transform[dbt]' and the adapter of your database, such as"
            " dbt-duckdb or dbt-postgres.",
        )
