"""dagster-transform: SQLMesh and dbt projects as Dagster assets, audits and tests as asset checks.

The public names. They are imported when they are first used: `import dagster_transform` imports
neither Dagster nor a framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster_transform.config import TransformConfig, load_config
    from dagster_transform.dagster import (
        TransformResource,
        TransformTranslator,
        build_check_jobs,
        build_dbt_assets,
        build_job_groups,
        build_pause_jobs,
        build_sqlmesh_assets,
        build_sqlmesh_jobs,
        build_transform_assets,
        build_transform_definitions,
        build_watching_sensors,
        claimed_file,
        select_nodes,
        transform_executor,
    )
    from dagster_transform.dagster.component import TransformComponent
    from dagster_transform.errors import TransformError
    from dagster_transform.graph import Check, Node, Source

_HOMES = {
    "Check": "dagster_transform.graph",
    "Node": "dagster_transform.graph",
    "Source": "dagster_transform.graph",
    "TransformComponent": "dagster_transform.dagster.component",
    "TransformConfig": "dagster_transform.config",
    "TransformError": "dagster_transform.errors",
    "TransformResource": "dagster_transform.dagster",
    "TransformTranslator": "dagster_transform.dagster",
    "build_check_jobs": "dagster_transform.dagster",
    "build_dbt_assets": "dagster_transform.dagster",
    "build_job_groups": "dagster_transform.dagster",
    "build_pause_jobs": "dagster_transform.dagster",
    "build_sqlmesh_assets": "dagster_transform.dagster",
    "build_sqlmesh_jobs": "dagster_transform.dagster",
    "build_transform_assets": "dagster_transform.dagster",
    "build_transform_definitions": "dagster_transform.dagster",
    "build_watching_sensors": "dagster_transform.dagster",
    "claimed_file": "dagster_transform.dagster",
    "load_config": "dagster_transform.config",
    "select_nodes": "dagster_transform.dagster",
    "transform_executor": "dagster_transform.dagster",
}

__all__ = [
    "Check",
    "Node",
    "Source",
    "TransformComponent",
    "TransformConfig",
    "TransformError",
    "TransformResource",
    "TransformTranslator",
    "build_check_jobs",
    "build_dbt_assets",
    "build_job_groups",
    "build_pause_jobs",
    "build_sqlmesh_assets",
    "build_sqlmesh_jobs",
    "build_transform_assets",
    "build_transform_definitions",
    "build_watching_sensors",
    "claimed_file",
    "load_config",
    "select_nodes",
    "transform_executor",
]


if not TYPE_CHECKING:  # it would be told that there is whatever anybody imports

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
