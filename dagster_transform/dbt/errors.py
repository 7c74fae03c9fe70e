"""What can go wrong between this package and a dbt project."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.errors import TransformError


class DbtError(TransformError):
    """A dbt project can't be used."""


class DbtMissingError(DbtError):
    """dbt is not installed here."""


class AdapterMissingError(DbtError):
    """The dbt adapter that a profile asks for is not installed here."""


class ProfileError(DbtError):
    """The profile of a dbt project is missing or wrong."""


class EnvironmentVariableError(DbtError):
    """An environment variable that a dbt project asks for is not set.

    Attributes:
        variable: Its name.
        place: The file that asks for it.
    """

    def __init__(self, cause: str, *, remedy: str, variable: str, place: str) -> None:
        self.variable = variable
        self.place = place
        super().__init__(cause, remedy=remedy)


class ArtifactsError(DbtError):
    """What dbt writes can't be written: the place is read-only, or its disk is full."""


class PackagesError(DbtError):
    """The packages that a dbt project declares are not installed, or can't be."""


class DbtParseError(DbtError):
    """The files of a dbt project can't be read: dbt says why."""


class NodeConfigError(DbtError):
    """What a dbt project says of a node for Dagster or this package can't be understood."""


class ManifestError(DbtError):
    """The manifest of a dbt project can't be used."""


class UnknownNodeError(ManifestError):
    """An id is not in the manifest.

    Attributes:
        unique_id: The id that was asked for.
    """

    def __init__(self, project: str, unique_id: UniqueId, known: Iterable[UniqueId]) -> None:
        self.unique_id = unique_id
        close = get_close_matches(unique_id, sorted(known), n=1)
        hint = f"Did you mean {close[0]!r}? Else run" if close else "Run"
        super().__init__(
            f"Project {project}: its manifest has no {unique_id!r}.",
            remedy=f"{hint} `dagster-transform prepare --project {project}`: the graph file and the"
            " manifest must come from the same files.",
        )


class DbtRunError(DbtError):
    """dbt can't carry out a run."""


class DbtHookError(DbtError):
    """An on-run-start or on-run-end hook of a dbt project failed."""


class ColumnLineageError(DbtError):
    """What a query's columns are computed from can't be found out."""
