"""The one failure of a run, as Dagster shows it."""

from __future__ import annotations

import dagster as dg

from dagster_transform.runs.summary import RunSummary


def failure_of(summary: RunSummary) -> dg.Failure | None:
    """The failure of a run, with a table; None where it has not failed."""
    if not summary.failed:
        return None
    return dg.Failure(
        description=summary.as_text(),
        metadata={"dagster_transform/outcomes": dg.MetadataValue.md(summary.as_markdown())},
    )
