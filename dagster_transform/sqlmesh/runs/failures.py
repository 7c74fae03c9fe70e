"""How a unit can fail, and what people read of it."""

from __future__ import annotations

from dagster_transform.errors import TransformError, redact, with_class
from dagster_transform.sqlmesh.project import first_error

_MAX_MESSAGE = 2_000


class Cancelled(Exception):
    """The unit was cancelled between two statements."""


class BatchError(Exception):
    """Building one batch of a node failed; the cause says how.

    Args:
        interval: The batch, in words.
    """

    def __init__(self, interval: str) -> None:
        super().__init__(interval)
        self.interval = interval


def in_words(error: BaseException) -> str:
    """An engine's, SQLMesh's or our own error in words, without passwords and not endless."""
    if isinstance(error, TransformError):
        return str(error)
    where = ""
    if isinstance(error, BatchError) and error.__cause__ is not None:
        where, error = f"{error.interval}: ", error.__cause__
    text = redact(with_class(first_error(error)))
    if len(text) > _MAX_MESSAGE:
        text = f"{text[:_MAX_MESSAGE]}..."
    return f"{where}{text}"
