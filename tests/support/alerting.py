"""News of small runs, and channels that are told of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from dagster_transform.claims import RunId
from dagster_transform.config.alerts import EmailChannel, SlackChannel, WebhookChannel
from dagster_transform.graph import Graph
from dagster_transform.runs.alerts.incidents import AlertingRun, RunNews, RunNotes
from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.summary import Row, RunSummary
from tests.support.run_plans import check, graph, node

RUN = AlertingRun(RunId("run-1"), "nightly", "", "nightly:1", "https://d.example.com/runs/run-1")
GRAPH = graph(
    replace(node("a:x"), owners=("ada@e.com", "team:data"), tags=("finance",)),
    replace(node("a:y", "a:x"), owners=("bob@e.com",)),
    node("b:z"),
    check("a:x", "ok"),
    check("a:y", "ok"),
)


def news(
    *events: RunEvent,
    rows: Sequence[Row] = (),
    run: AlertingRun = RUN,
    of: Graph = GRAPH,
    waited: bool = False,
    error: Exception | None = None,
) -> RunNews:
    """What there is to tell of a run with these events and rows."""
    notes = RunNotes(of, of.nodes, waited=waited)
    summary = RunSummary(failed=bool(rows), rows=tuple(rows), good=0)

    def go() -> Generator[RunEvent, None, RunSummary]:
        yield from events
        return summary

    assert list(notes.watch(go())) == list(events)
    return notes.news(run, None if error is not None else summary, error)


def slack(**fields: Any) -> SlackChannel:
    return SlackChannel.model_validate({"type": "slack", "url": "http://127.0.0.1/x", **fields})


def webhook(**fields: Any) -> WebhookChannel:
    return WebhookChannel.model_validate({"type": "webhook", **fields})


def email(**fields: Any) -> EmailChannel:
    given = {"type": "email", "host": "127.0.0.1", "sender": "d@e.com", "security": "none"}
    return EmailChannel.model_validate({**given, **fields})
