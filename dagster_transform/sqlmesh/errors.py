"""What can go wrong between this package and a SQLMesh project."""

from __future__ import annotations

from dagster_transform.errors import TransformError


class SqlmeshError(TransformError):
    """A SQLMesh project can't be used."""


class SqlmeshMissingError(SqlmeshError):
    """SQLMesh is not installed here, or its environment is broken."""


class ProjectLoadError(SqlmeshError):
    """The files of a SQLMesh project can't be loaded."""


class DatabaseError(SqlmeshError):
    """The database of a SQLMesh project, or that of its state, can't be reached."""


class EnvironmentNotPlannedError(SqlmeshError):
    """The environment was never planned."""


class PlanRefusedError(SqlmeshError):
    """The plan can't be applied by this run."""


class RestatementRefusedError(SqlmeshError):
    """What was asked for can't be restated, or reaches further than was asked for."""
