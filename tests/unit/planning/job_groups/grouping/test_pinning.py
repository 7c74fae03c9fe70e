"""Nodes that people have placed in job groups by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.graph import Graph
from dagster_transform.planning.job_groups import (
    JobGroupError,
    JobGroupPlan,
    JobGroupSettings,
    plan_job_groups,
)
from tests.support.job_groups import assert_sound, groups_by_name, timed_node

HOURLY_BETWEEN = (
    timed_node("a"), timed_node("b", "@hourly", ["a"]), timed_node("c", "@daily", ["b"]),
)  # fmt: skip


def plan(*nodes, previous: JobGroupPlan | None = None, **pinned: str) -> JobGroupPlan:  # type: ignore[no-untyped-def]
    wanted = JobGroupSettings(pinned={f"p:{node}": group for node, group in pinned.items()})
    graph = Graph.of(nodes)
    found = plan_job_groups(graph, {}, wanted, previous)
    assert_sound(graph, found, wanted)
    return found


def test_a_pinned_group_has_what_is_pinned_to_it_and_no_more() -> None:
    nodes = [timed_node(name) for name in "abcd"]
    found = plan(*nodes, a="mine", b="mine")
    assert groups_by_name(found) == {"mine": ["a", "b"], "daily": ["c", "d"]}
    assert "Its nodes are pinned." in found.groups[0].reason


def test_a_pinned_group_that_is_called_as_its_cadence_takes_others_of_it() -> None:
    nodes = [timed_node(name) for name in "abcd"]
    assert groups_by_name(plan(*nodes, a="daily")) == {"daily": ["a", "b", "c", "d"]}


def test_cadences_share_a_pinned_group() -> None:
    found = plan(timed_node("a", "@hourly"), timed_node("b", "@daily", ["a"]), a="mine", b="mine")
    assert [(group.name, group.cron.text) for group in found.groups] == [("mine", "0 * * * *")]


def test_pinned_nodes_move_to_their_group() -> None:
    nodes = [timed_node(name) for name in "abcd"]
    before = plan(*nodes)
    after = plan(*nodes, previous=before, a="mine")
    assert groups_by_name(after) == {"daily": ["b", "c", "d"], "mine": ["a"]}
    assert groups_by_name(plan(*nodes, previous=after, b="daily")) == groups_by_name(after)


@pytest.mark.parametrize("with_previous", [False, True])
def test_a_circle_that_pinning_makes_is_printed(with_previous: bool) -> None:
    previous = plan(*HOURLY_BETWEEN) if with_previous else None
    with pytest.raises(JobGroupError) as refused:
        plan(*HOURLY_BETWEEN, previous=previous, a="mine", c="mine")
    assert "a (job group mine) -> b -> c (job group mine)" in str(refused.value)
    assert "Pin what lies between" in str(refused.value.remedy)
    assert len(plan(*HOURLY_BETWEEN, a="mine", b="mine", c="mine").groups) == 1


def test_a_circle_of_two_pinned_groups_is_printed() -> None:
    nodes = [timed_node("a"), timed_node("b", deps=["a"]), timed_node("c"),
             timed_node("d", deps=["c"])]  # fmt: skip
    with pytest.raises(JobGroupError, match=r"\(job group x\) -> . \(job group y\)"):
        plan(*nodes, a="x", d="x", b="y", c="y")


def test_zones_are_not_pinned_together() -> None:
    nodes = [timed_node("a"), timed_node("b", zone="Europe/Zurich")]
    with pytest.raises(JobGroupError, match="no cron has the ticks of all of them"):
        plan(*nodes, a="mine", b="mine")


def test_a_pinned_node_whose_ticks_the_group_misses_is_refused() -> None:
    nodes = [timed_node("a"), timed_node("b", "@hourly")]
    before = plan(*nodes)
    with pytest.raises(JobGroupError, match="b can't be pinned to the job group daily"):
        plan(*nodes, previous=before, b="daily")


def test_a_pinned_node_without_a_cron_is_in_no_group() -> None:
    wanted = JobGroupSettings(pinned={"p:a": "mine"})
    found = plan_job_groups(Graph.of([timed_node("a", None)]), {}, wanted)
    assert found.groups == ()
    assert "no cron" in found.unscheduled["p:a"]


def test_no_more_is_merged_than_what_is_not_pinned() -> None:
    nodes = [timed_node("a"), timed_node("b", "@hourly"), timed_node("c", "@weekly")]
    wanted = JobGroupSettings(max_job_groups=1, pinned={"p:a": "mine"})
    found = plan_job_groups(Graph.of(nodes), {}, wanted)
    assert groups_by_name(found) == {"mine": ["a"], "hourly": ["b", "c"]}
    assert any("nodes are pinned" in warning for warning in found.warnings)
    assert replace(found, warnings=()) == replace(
        plan_job_groups(Graph.of(nodes[::-1]), {}, wanted), warnings=()
    )


def test_a_pinned_group_gets_no_other_cron() -> None:
    nodes = [timed_node("a", "0 6 * * *"), timed_node("b", "0 18 * * *")]
    wanted = JobGroupSettings(max_job_groups=1, pinned={"p:a": "daily"})
    found = plan_job_groups(Graph.of(nodes), {}, wanted)
    assert {group.name: group.cron.text for group in found.groups} == {
        "daily": "0 6 * * *",
        "daily_2": "0 18 * * *",
    }


def test_a_pinned_group_is_not_cut() -> None:
    nodes = [timed_node(name) for name in "abc"]
    wanted = JobGroupSettings(largest=2, pinned={node.id: "mine" for node in nodes})
    found = plan_job_groups(Graph.of(nodes), {}, wanted)
    assert groups_by_name(found) == {"mine": ["a", "b", "c"]}
    assert "mine has 3" in found.warnings[0]
