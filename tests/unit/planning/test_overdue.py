"""Checks that have missed a tick of their cron."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dagster_transform.config import DbtProject, TransformConfig
from dagster_transform.config.checks import ProjectChecks
from dagster_transform.graph import When
from dagster_transform.planning import CheckTimes, timed
from dagster_transform.planning.overdue import last_tick, last_ticks, overdue
from tests.support.run_plans import check, graph, node


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-03-{text}").replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("cron", "zone", "now", "expected"),
    [
        ("0 6 * * *", None, "05 10:00", "05 06:00"),
        ("@daily", None, "05 10:00", "05 00:00"),
        ("0 6 * * *", None, "05 06:30", "04 06:00"),  # the run of that tick may go on
        ("0 6 * * *", None, "05 07:00", "05 06:00"),
        ("0 * * * *", None, "05 10:10", "05 09:00"),
        ("0 * * * *", None, "05 10:20", "05 10:00"),
        ("0 6 * * *", "Europe/Zurich", "05 10:00", "05 05:00"),
        ("0 6 * * *", "America/New_York", "05 10:00", "04 11:00"),
    ],
)
def test_the_last_tick(cron: str, zone: str | None, now: str, expected: str) -> None:
    assert last_tick(cron, zone, utc(now)) == utc(expected)


def test_what_has_no_result_since_is_overdue() -> None:
    names = ("new", "old", "fresh")
    found = graph(node("a:1"), node("a:2"), *(check("a:1", name) for name in names))
    apart = timed(found, {"a": CheckTimes(When.APART)})
    results = {"a:1:old": utc("04 06:10"), "a:1:fresh": utc("05 06:10")}
    daily = {"a": utc("05 06:00")}
    assert overdue(apart, ["a:1", "a:2"], daily, results) == ["a:1:new", "a:1:old"]
    assert overdue(apart, ["a:2"], daily, results) == []
    assert overdue(apart, ["a:1"], {}, results) == []  # nobody has said how often
    assert overdue(found, ["a:1"], daily, results) == []  # they run in band


def test_projects_whose_checks_have_a_cron_have_a_tick() -> None:
    apart = ProjectChecks(when="apart", cron="0 6 * * *", time_zone="Europe/Zurich")
    projects = {
        name: DbtProject(framework="dbt", path=".", checks=checks)
        for name, checks in (("a", apart), ("b", ProjectChecks(when="apart")))
    }
    assert last_ticks(TransformConfig(projects=projects), utc("05 10:00")) == {"a": utc("05 05:00")}
