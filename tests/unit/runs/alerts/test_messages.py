"""What people read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from textwrap import dedent

from dagster_transform.planning import Outcome
from dagster_transform.runs.alerts.messages import Message, compose
from dagster_transform.runs.alerts.routing import Target, alert_for
from dagster_transform.runs.events import CheckEvaluated, NodeObserved
from dagster_transform.runs.summary import Row
from dagster_transform.walk import CheckResult
from tests.support.alerting import RUN, news, slack
from tests.support.run_plans import graph, node

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
EVENTS = (
    CheckEvaluated(CheckResult("a:x:ok", False, blocking=False, failed_rows=2)),
    NodeObserved("b:z", Outcome.FAILED, "a < b & c"),
)
ROWS = [
    Row(("w1", "w2"), "claimed", "claimed by run 1a2b since 12:03"),
    Row(("y", "y2"), "blocked", "upstream failed"),
]


def message(*recovered: str, run: object = RUN) -> Message:
    found = news(*EVENTS, rows=ROWS, run=run)
    alert = alert_for(Target("t", slack(severity="warn")), found, (), NOW)
    return compose(replace(alert, known=3), recovered, found)


def test_causes_come_first_and_the_rest_is_counted() -> None:
    assert message("a:y#failed", "a:y#waiting").as_text() == dedent("""\
        nightly: 1 failed, 1 check warns, 1 recovered

        z failed: a < b & c
        x:ok check failed (warning) (owned by ada@e.com, team:data): 2 rows
        2 blocked in this run by what is not well.
        Held by others: w1, w2: claimed by run 1a2b since 12:03
        3 more not well, as told before.
        y has recovered.

        Run run-1: https://d.example.com/runs/run-1""")


def test_slack_reads_no_markup_in_what_a_database_says() -> None:
    text = message().as_slack()
    assert text.startswith("*nightly: 1 failed, 1 check warns*\nz failed: a &lt; b &amp; c\n")
    assert text.endswith("\n<https://d.example.com/runs/run-1|Run run-1>")


def test_a_run_of_a_job_group_is_called_by_it_and_without_a_server_it_has_its_id() -> None:
    found = message(run=replace(RUN, job_group="nights", url=None))
    assert found.title.startswith("nights: ")
    assert found.as_text().endswith("\nRun run-1")
    assert found.as_slack().endswith("\nRun run-1")


def test_programs_get_the_same_as_json() -> None:
    data = json.loads(json.dumps(message("a:y#failed").data))
    assert (data["format"], data["job_group"], data["blocked"]) == (1, None, 2)
    assert [(f["name"], f["severity"]) for f in data["failed"]] == [("z", "error")]
    assert [(f["name"], f["severity"]) for f in data["failed_checks"]] == [("x:ok", "warn")]
    assert data["recovered"] == ["y"]
    assert data["claimed"][0]["names"] == ["w1", "w2"]


def test_a_hundred_failures_are_twenty_lines_and_a_number() -> None:
    many = graph(*(node(f"a:n{i:03}") for i in range(100)))
    found = news(*(NodeObserved(id, Outcome.FAILED, "no") for id in many.nodes), of=many)
    alert = alert_for(Target("t", slack()), found, (), NOW)
    text = compose(alert, (), found).as_text()
    assert "nightly: 100 failed" in text
    assert text.count("failed: no") == 20
    assert "... and 80 more, which the run has." in text
    assert len(compose(alert, (), found).data["failed"]) == 100


def test_what_is_too_much_for_a_server_is_cut_for_programs() -> None:
    many = graph(*(node(f"a:n{i:03}") for i in range(300)))
    found = news(*(NodeObserved(id, Outcome.FAILED, "no") for id in many.nodes), of=many)
    data = compose(alert_for(Target("t", slack()), found, (), NOW), (), found).data
    assert len(data["failed"]) == 200
    assert data["title"] == "nightly: 300 failed"
