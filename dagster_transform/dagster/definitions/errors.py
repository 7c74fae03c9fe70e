"""What can go wrong while a code location is loaded."""

from __future__ import annotations

from dagster_transform.errors import TransformError


class StaleGraphError(TransformError):
    """The graph file does not fit the project's files."""


class PrepareFailedError(TransformError):
    """The graph file could not be made anew."""


class TranslationError(TransformError):
    """Dagster does not take what a translator makes of a node or check."""


class DuplicateKeyError(TranslationError):
    """Two nodes have one asset key, or two checks one name."""


class WrongFrameworkError(TransformError):
    """A project is of another framework than what was asked for."""
