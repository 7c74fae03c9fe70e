"""Why a message could not be sent."""

from __future__ import annotations

from collections.abc import Iterable

from dagster_transform.errors import TransformError

_SHORTEST = 4
"""What is shorter is no secret, and words have it in them."""


class AlertError(TransformError):
    """A message could not be sent.

    Attributes:
        again: Whether trying again may help.
        sent: Whether somebody has got it all the same: it is not sent to them again.
    """

    def __init__(
        self,
        cause: str,
        *,
        remedy: str | None = None,
        again: bool = False,
        sent: bool = False,
        secrets: Iterable[str] = (),
    ) -> None:
        self.again = again
        self.sent = sent
        super().__init__(without(cause, secrets), remedy=remedy)


def without(text: str, secrets: Iterable[str]) -> str:
    """A text that a server or a library has written, without what is secret in it."""
    for secret in sorted({*secrets}, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text
