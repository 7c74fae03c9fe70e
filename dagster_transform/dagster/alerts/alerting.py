"""What an op tells people of itself, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.alerts.telling import alerting_run, tell
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.runs.alerts.incidents import RunNotes, news_of_job
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
        judged = {graph.checks[c].target for c in selection.checks if c in graph.checks}
        nodes = {*selection.nodes, *(n for n in judged if graph.is_node(n))}
        self._notes = RunNotes(graph, nodes, waited=waited)
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


def tell_of_job(context: Any, config: TransformConfig, project: str, reason: str) -> None:
    """Tell people of a job that builds no nodes. Raises nothing.

    Args:
        context: Dagster's context of its op.
        config: Who is to be told, and where claims are kept.
        project: The project that it is about.
        reason: Why it has failed; "": it has not, which is told to whom was told that it had.
    """
    news = news_of_job(alerting_run(context, config.alerts, ()), project, reason)
    tell(news, config.alerts, lambda: open_claims(context.instance, config), context.log)
