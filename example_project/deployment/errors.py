"""What is wrong with a deployment, with what to do about it."""

from __future__ import annotations


class DeploymentError(Exception):
    """It can't be started.

    Args:
        message: What is wrong.
        remedy: What to do.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}".strip())
