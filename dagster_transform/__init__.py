"""dagster-transform: SQLMesh models as Dagster assets, audits as asset checks.

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
        build_sqlmesh_assets,
        build_sqlmesh_jobs,
        build_transform_assets,
        build_transform_definitions,
        claimed_file,
        transform_executor,
    )
    from dagster_transform.errors import TransformError

_HOMES = {
    "TransformConfig": "dagster_transform.config",
    "TransformError": "dagster_transform.errors",
    "TransformResource": "dagster_transform.dagster",
    "TransformTranslator": "dagster_transform.dagster",
    "build_sqlmesh_assets": "dagster_transform.dagster",
    "build_sqlmesh_jobs": "dagster_transform.dagster",
    "build_transform_assets": "dagster_transform.dagster",
    "build_transform_definitions": "dagster_transform.dagster",
    "claimed_file": "dagster_transform.dagster",
    "load_config": "dagster_transform.config",
    "transform_executor": "dagster_transform.dagster",
}

__all__ = [
    "TransformConfig",
    "TransformError",
    "TransformResource",
    "TransformTranslator",
    "build_sqlmesh_assets",
    "build_sqlmesh_jobs",
    "build_transform_assets",
    "build_transform_definitions",
    "claimed_file",
    "load_config",
    "transform_executor",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
