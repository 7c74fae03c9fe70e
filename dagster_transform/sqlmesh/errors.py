"""What can go wrong between this package and a SQLMesh project."""

from __future__ import annotations

from collections.abc import Iterable

from dagster_transform.errors import TransformError


class SqlmeshError(TransformError):
    """A SQLMesh project can't be used.

    Attributes:
        nodes: Names of the models at fault, where it is theirs.
    """

    def __init__(
        self, cause: str | None = None, *, remedy: str | None = None, nodes: Iterable[str] = ()
    ) -> None:
        self.nodes = tuple(nodes)
        super().__init__(cause, remedy=remedy)


class AuditedTimeError(SqlmeshError):
    """The time over which audits are asked for can't be understood."""


class SqlmeshMissingError(SqlmeshError):
    """SQLMesh is not installed here, or its environment is broken."""


class PackageMissingError(SqlmeshError):
    """A Python package that a SQLMesh project needs is not installed here."""


class ProjectLoadError(SqlmeshError):
    """The files of a SQLMesh project can't be loaded."""


class LinterError(SqlmeshError):
    """Models break rules of the project's linter."""


class DatabaseError(SqlmeshError):
    """The database of a SQLMesh project, or that of its state, can't be used."""


class StateError(SqlmeshError):
    """SQLMesh's state is incomplete, or of another version of SQLMesh."""


class ProjectFilesError(SqlmeshError):
    """A file that SQLMesh needs can't be read or written."""


class EnvironmentNotPlannedError(SqlmeshError):
    """The environment was never planned."""


class PlanRefusedError(SqlmeshError):
    """The plan can't be applied by this run."""


class ChangeForbiddenError(PlanRefusedError):
    """A forward-only change does to a table what its model forbids."""


class SignalError(SqlmeshError):
    """A signal of a model raises an error."""


class HookError(SqlmeshError):
    """A statement of before_all or after_all failed."""


class UnexpectedError(SqlmeshError):
    """SQLMesh, or Python code of the project, raised what nobody expects."""


class RestatementRefusedError(SqlmeshError):
    """What was asked for can't be restated, or reaches further than was asked for."""
