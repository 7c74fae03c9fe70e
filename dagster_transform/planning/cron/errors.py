"""What is raised about crons."""

from __future__ import annotations

from dagster_transform.errors import TransformError


class CronError(TransformError):
    """A cron can't be used as it is written."""

    def __init__(self, text: str, what: str, *, remedy: str | None = None) -> None:
        self.text = text
        super().__init__(f"The cron '{text}' can't be used: {what}.", remedy=remedy)
