"""What is wrong, or will be: findings as values, and those that follow from values alone. Pure."""

from __future__ import annotations

from dagster_transform.planning.findings.values import Code, Finding, Severity, of_error

__all__ = ["Code", "Finding", "Severity", "of_error"]
