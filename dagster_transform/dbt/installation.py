"""Whether dbt-core is installed here; found out without importing it."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from dagster_transform.dbt.errors import DbtMissingError

_REMEDY = (
    "pip install 'dagster-transform[dbt]' and the adapter of your database, such as dbt-duckdb or"
    " dbt-postgres."
)
_SECOND = ("dbt", "dbt-oss", "dbt-core")
"""The distributions that dbt v2 (Fusion) comes as; it has no Python API."""


def require_dbt() -> None:
    """Imports nothing of dbt's.

    Raises:
        DbtMissingError: dbt-core is not installed, or dbt v2 stands in its place.
    """
    try:
        found = importlib.util.find_spec("dbt.cli") is not None
    except ModuleNotFoundError:  # there is no package `dbt` at all
        found = False
    if found:
        return
    for name in _SECOND:
        for second in importlib.metadata.distributions(name=name):
            if int(second.version.partition(".")[0]) > 1:
                raise DbtMissingError(
                    f"{name} {second.version} is installed in this Python environment. dbt v2"
                    " (Fusion) can't be told node by node what to build; dbt-core 1 can.",
                    remedy=f"pip uninstall {name}, then: {_REMEDY}",
                )
    raise DbtMissingError("dbt is not installed in this Python environment.", remedy=_REMEDY)
