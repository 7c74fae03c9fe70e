"""What people configure: transform.yaml as models, and as a document with its places."""

from __future__ import annotations

from dagster_transform.config.document import ConfigError, ConfigProblem
from dagster_transform.config.models import (
    ARTIFACTS_VARIABLE,
    DbtProject,
    ProjectConfig,
    SqlmeshProject,
    TransformConfig,
    UnknownProjectError,
    load_config,
)

__all__ = [
    "ARTIFACTS_VARIABLE",
    "ConfigError",
    "ConfigProblem",
    "DbtProject",
    "ProjectConfig",
    "SqlmeshProject",
    "TransformConfig",
    "UnknownProjectError",
    "load_config",
]
