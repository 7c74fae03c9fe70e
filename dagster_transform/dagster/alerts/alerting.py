"""What an op tells people of itself, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dagster_transform.dagster.alerts.telling import alerting_run, tell
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.runs.alerts.incidents import RunNotes
from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.rounds import Selection
from dagster_transform.runs.summary import RunSummary


class Alerting:
    """Notes what becomes of an op's nodes and checks, and tells at its end whoever has to know.

    Args:
        context: Dagster's context of the op.
        transform: What there is.
        selection: What the op does.
        waited: Whether it waits for what others hold.
    """

    def __init__(
        self, context: Any, transform: Transform, selection: Selection, *, waited: bool
    ) -> None:
        self._context = context
        self._config = transform.config
        graph = transform.keys.named(transform.graph)
        self._notes = RunNotes(graph, selection.nodes, waited=waited)
        selected = [*selection.nodes, *selection.checks]
        self._run = alerting_run(context, transform.config.alerts, selected)

    def watch(
        self, run: Generator[RunEvent, None, RunSummary]
    ) -> Generator[RunEvent, None, RunSummary]:
        """The run of the op, its events unchanged."""
        return self._notes.watch(run)

    def tell(self, summary: RunSummary | None, error: Exception | None = None) -> None:
        """Tell people what the run has come to, or why to nothing. Raises nothing."""
        news = self._notes.news(self._run, summary, error)
        tell(
            news,
            self._config.alerts,
            lambda: open_claims(self._context.instance, self._config),
            self._context.log,
        )
