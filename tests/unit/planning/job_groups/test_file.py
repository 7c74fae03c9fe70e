"""From a job group file and a graph to job groups, errors and drift."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from dagster_transform.config import ConfigError
from dagster_transform.graph import Graph
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.file import (
    LoadedJobGroups,
    as_written,
    load_job_groups,
)
from dagster_transform.planning.job_groups.values import JobGroupSettings
from tests.support.job_group_graphs import NOW, graph, node, parsed

GRAPH = graph(
    node("raw", "@hourly"),
    node("day", "@daily", "raw"),
    node("report", "@daily", "day"),
    node("by_hand", None, "day"),
)
FILE = """
    job_groups:
      fine:
        cron: "*/30 * * * *"
        nodes: [raw]
      daily:
        description: What people read.
        cron: "@daily"
        owners: [team:core]
        tags: {cost: high}
        max_concurrent_models: 2
        checks: apart
        nodes: [day, report]
    """


def load(text: str = FILE, of: Graph = GRAPH, **settings: Any) -> LoadedJobGroups:
    left_out = settings.pop("left_out", None)
    chosen = JobGroupSettings(**settings)
    return load_job_groups(parsed(dedent(text)), of, chosen, now=NOW, left_out=left_out)


def members(found: LoadedJobGroups) -> dict[str, list[str]]:
    return {g.name: [id.removeprefix("p:") for id in g.nodes] for g in found.plan.groups}


def drift(found: LoadedJobGroups) -> list[str]:
    return [str(each) for each in found.drift]


def test_all_that_the_file_says() -> None:
    found = load()
    assert members(found) == {"fine": ["raw"], "daily": ["day", "report"]}
    fine, daily = found.plan.groups
    assert fine.cron == Cron.parse("*/30 * * * *")  # though its node is due hourly
    assert (daily.description, daily.owners) == ("What people read.", ("team:core",))
    assert (dict(daily.tags), daily.max_concurrent_models) == ({"cost": "high"}, 2)
    assert daily.checks == "apart"
    assert daily.depends_on == ("fine",)
    assert daily.seconds > 0
    assert list(found.plan.unscheduled) == ["p:by_hand"]
    assert found.plan.crons["p:raw"] == Cron.parse("@hourly")
    assert drift(found) == []


def test_a_new_node_goes_where_it_fits() -> None:
    more = graph(*GRAPH.nodes.values(), node("new", "@daily", "report"))
    found = load(of=more)
    assert members(found)["daily"] == ["day", "report", "new"]
    assert drift(found) == [
        (
            "job_groups.yaml:5:3: job_groups.daily: db/s/new is in no group of the file; it goes "
            "to this one"
        )
    ]


def test_or_to_a_group_of_its_own() -> None:
    more = graph(*GRAPH.nodes.values(), node("new", "@daily", "report", time_zone="Asia/Tokyo"))
    found = load(of=more)
    (name,) = members(found).keys() - {"fine", "daily"}
    assert drift(found) == [
        (
            "job_groups.yaml:1:1: job_groups: db/s/new is in no group of the file; it goes to a "
            f"new one, {name}"
        )
    ]


def test_a_group_without_nodes_is_there_with_its_cron() -> None:
    found = load(of=graph())
    assert {name: len(nodes) for name, nodes in members(found).items()} == {"fine": 0, "daily": 0}
    assert {g.name: g.cron for g in found.plan.groups}["fine"] == Cron.parse("*/30 * * * *")
    assert len(drift(found)) == 3


def test_what_needs_no_group_is_no_drift() -> None:
    more = graph(*GRAPH.nodes.values(), node("soon", "@daily", "report"), node("x", None))
    why = {"p:soon": "not there yet", "p:x": "not there yet", "p:day": "not there yet"}
    found = load(of=more, left_out=why)
    assert "soon" not in str(members(found))
    assert members(found)["daily"] == ["day", "report"]  # the file has it
    assert drift(found) == []
    assert found.plan.unscheduled["p:soon"] == "not there yet"
    assert found.plan.unscheduled["p:x"] != "not there yet"  # it has no cron anyway


def test_settings_do_not_move_what_the_file_has() -> None:
    for settings in (
        {"max_job_groups": 1},
        {"keep_apart": ("tag:*",)},
        {"largest": 1},
        {"pinned": {"p:day": "elsewhere"}},
        {"merge_cadences": "always"},
    ):
        assert members(load(**settings)) == {"fine": ["raw"], "daily": ["day", "report"]}


def test_all_errors_come_at_once_with_a_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            """
            job_groups:
              often: {cron: "* * * * *", nodes: []}
              one: {cron: "@daily", nodes: [raw, day]}
              two: {cron: "@hourly", nodes: [day, report]}
            """
        )
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]
    assert "job-groups generate" in (caught.value.remedy or "")


def test_a_file_with_errors_is_still_a_start_for_the_next() -> None:
    file = parsed(
        """
        job_groups:
          broken: {cron: "61 * * * *", nodes: [raw]}
          late: {cron: "@daily", select: "*"}
        """
    )
    found = as_written(file, GRAPH, JobGroupSettings(), now=NOW)
    assert [group.name for group in found.plan.groups] == ["late"]
    assert len(found.errors) == 2
    assert dict(found.selections) == {"late": "*"}
