"""What people configure: transform.yaml as models, and as a document with its places."""

from __future__ import annotations

from dagster_transform.config.checks import CheckJob
from dagster_transform.config.document import ConfigError, ConfigProblem
from dagster_transform.config.fields import path_from, url_from
from dagster_transform.config.models import (
    ARTIFACTS_VARIABLE,
    ProjectConfig,
    SettingError,
    TransformConfig,
    UnknownProjectError,
    load_config,
)
from dagster_transform.config.projects import DbtProject, SqlmeshProject

__all__ = [
    "ARTIFACTS_VARIABLE",
    "CheckJob",
    "ConfigError",
    "ConfigProblem",
    "DbtProject",
    "ProjectConfig",
    "SettingError",
    "SqlmeshProject",
    "TransformConfig",
    "UnknownProjectError",
    "load_config",
    "path_from",
    "url_from",
]
