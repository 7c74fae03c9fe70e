"""What can go wrong with a component."""

from __future__ import annotations

from dagster_transform.errors import TransformError


class NoFileError(TransformError):
    """A component has attributes that are from no file."""

    def __init__(self) -> None:
        super().__init__(
            "A TransformComponent reads its attributes from a YAML file, since graph files lie "
            "beside it and the command line reads it too.",
            remedy="In Python, give it config=load_config(PATH).",
        )


class UntranslatableError(TransformError):
    """A spec has what only the projects' files or transform.yaml decide."""


class ScaffoldError(TransformError):
    """A component can't be scaffolded with these parameters."""
