"""The `dagster-transform` command."""

from __future__ import annotations

from dagster_transform.cli.main import main

__all__ = ["main"]
