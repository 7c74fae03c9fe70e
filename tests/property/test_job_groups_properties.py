"""What is true of every plan of job groups, whatever the graph and the settings."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dagster_transform.graph import Graph, Node
from dagster_transform.planning.job_groups import (
    JobGroupError,
    JobGroupSettings,
    MergeCadences,
    place_new_nodes,
    plan_job_groups,
)
from tests.support.job_groups import assert_sound, components_of, memberships, timed_node

CRONS = (
    None, "@daily", "0 0 * * *", "@hourly", "*/15 * * * *", "* * * * *", "@weekly", "@monthly",
    "0 6 * * *", "30 6 * * 1-5", "0 */6 * * *", "20,50 * * * *", "30 2 * * *", "*/7 * * * *",
)  # fmt: skip
ZONES = (None, "UTC", "Europe/Zurich", "Australia/Lord_Howe")
APART = ("project", "schema", "owner", "tag:team_*")
KINDS = ("FULL", "VIEW", "SEED", "INCREMENTAL_BY_TIME_RANGE")


@st.composite
def timed_nodes(draw: st.DrawFn, most: int = 24) -> list[Node]:
    """Nodes of few cadences, so that they can share groups, in no order."""
    count = draw(st.integers(0, most))
    crons = draw(st.lists(st.sampled_from(CRONS), min_size=1, max_size=4))
    zones = draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=2))
    nodes: list[Node] = []
    for label in draw(st.permutations(range(count))):
        deps = draw(st.lists(st.sampled_from(nodes), unique_by=id, max_size=3)) if nodes else []
        nodes.append(
            timed_node(
                f"n{label:02}",
                draw(st.sampled_from(crons)),
                [dep.id for dep in deps],
                zone=draw(st.sampled_from(zones)),
                project=draw(st.sampled_from(("p", "q"))),
                kind=draw(st.sampled_from(KINDS)),
                tags=draw(st.sampled_from(((), ("team_a",), ("team_b", "x")))),
                owners=draw(st.sampled_from(((), ("data@example.com",)))),
                interval_unit=draw(st.sampled_from((None, "day", "hour"))),
            )
        )
    return nodes


SETTINGS = st.builds(
    JobGroupSettings,
    max_job_groups=st.integers(1, 8) | st.just(20),
    smallest=st.integers(1, 4),
    largest=st.none() | st.integers(1, 8),
    merge_cadences=st.sampled_from(MergeCadences),
    keep_apart=st.lists(st.sampled_from(APART), max_size=2, unique=True).map(tuple),
)
DURATIONS = st.floats(0, 1000, allow_nan=False)


@st.composite
def edited(draw: st.DrawFn, nodes: list[Node]) -> list[Node]:
    """The nodes after a few changes: models come and go, read something else, change their cron."""
    found = {node.id: node for node in nodes}
    for number in range(draw(st.integers(1, 5))):
        what = draw(st.sampled_from(("add", "remove", "cron", "deps")))
        order = list(Graph.of(found.values()).order)
        if what == "add" or not order:
            above = order[: draw(st.integers(0, len(order)))]
            deps = draw(st.lists(st.sampled_from(above), unique=True, max_size=3)) if above else []
            new = timed_node(f"new{number}", draw(st.sampled_from(CRONS)), deps)
            below = order[len(above) :]
            for reader in (
                draw(st.lists(st.sampled_from(below), unique=True, max_size=2)) if below else []
            ):
                found[reader] = replace(found[reader], deps=(*found[reader].deps, new.id))
            found[new.id] = new
            continue
        chosen = draw(st.sampled_from(order))
        if what == "remove":
            del found[chosen]
            found = {
                id: replace(node, deps=tuple(dep for dep in node.deps if dep != chosen))
                for id, node in found.items()
            }
        elif what == "cron":
            found[chosen] = replace(found[chosen], cron=draw(st.sampled_from(CRONS)))
        else:
            graph = Graph.of(found.values())
            others = sorted(graph.nodes.keys() - graph.descendants([chosen]) - {chosen})
            if others:
                deps = draw(st.lists(st.sampled_from(others), unique=True, max_size=3))
                found[chosen] = replace(found[chosen], deps=tuple(deps))
    return list(found.values())


@given(timed_nodes(), SETTINGS, st.data())
@settings(deadline=None)
def test_every_plan_is_sound(
    nodes: list[Node], wanted: JobGroupSettings, data: st.DataObject
) -> None:
    graph = Graph.of(nodes)
    durations = {node.id: data.draw(DURATIONS) for node in nodes[:3]}
    plan = plan_job_groups(graph, durations, wanted)
    assert_sound(graph, plan, wanted)
    # 7. the same input gives the same output, in whatever order it comes, also with itself before
    random.Random(1).shuffle(nodes)
    assert plan_job_groups(Graph.of(nodes), durations, wanted) == plan
    assert memberships(plan_job_groups(graph, durations, wanted, plan)) == memberships(plan)


@given(timed_nodes(), SETTINGS)
@settings(deadline=None)
def test_what_does_not_depend_on_each_other_goes_apart_while_there_is_room(
    nodes: list[Node], wanted: JobGroupSettings
) -> None:
    graph = Graph.of(nodes)
    plan = plan_job_groups(graph, {}, wanted)
    assume(len(plan.groups) < wanted.max_job_groups)
    for group in plan.groups:
        large = [c for c in components_of(graph, plan, group.nodes) if len(c) >= wanted.smallest]
        assert len(large) <= 1


@given(timed_nodes(), SETTINGS)
@settings(deadline=None)
def test_what_is_kept_apart_shares_no_group(nodes: list[Node], wanted: JobGroupSettings) -> None:
    graph = Graph.of(nodes)
    for group in plan_job_groups(graph, {}, wanted).groups:
        found = [graph.nodes[node] for node in group.nodes]
        for entry in wanted.keep_apart:
            values = {
                "project": {node.project for node in found},
                "schema": {node.relation.schema for node in found},
                "owner": {node.owners for node in found},
                "tag:team_*": {tuple(t for t in n.tags if t.startswith("team_")) for n in found},
            }[entry]
            assert len(values) == 1


@given(timed_nodes(), SETTINGS)
@settings(deadline=None)
def test_cadences_share_a_group_only_where_that_is_asked_for(
    nodes: list[Node], wanted: JobGroupSettings
) -> None:
    graph = Graph.of(nodes)
    never = replace(wanted, merge_cadences=MergeCadences.NEVER)
    plan = plan_job_groups(graph, {}, never)
    assert all(plan.crons[node] == group.cron for group in plan.groups for node in group.nodes)
    needed = plan_job_groups(graph, {}, replace(wanted, merge_cadences=MergeCadences.NEEDED))
    if len(plan.groups) <= wanted.max_job_groups:
        assert needed.groups == plan.groups


@given(st.data(), timed_nodes(), SETTINGS)
@settings(deadline=None)
def test_a_plan_after_changes_is_sound(
    data: st.DataObject, nodes: list[Node], wanted: JobGroupSettings
) -> None:
    before = plan_job_groups(Graph.of(nodes), {}, wanted)
    graph = Graph.of(data.draw(edited(nodes)))
    now = data.draw(st.sampled_from((wanted, data.draw(SETTINGS))))
    plan = plan_job_groups(graph, {}, now, before)
    assert_sound(graph, plan, now)
    again = plan_job_groups(graph, {}, now, plan)
    assert memberships(again) == memberships(plan)
    assert not [w for w in again.warnings if "can't stay" in w]


@given(st.data(), timed_nodes(), SETTINGS)
@settings(deadline=None)
def test_new_nodes_are_placed_and_nothing_else_moves_but_for_a_circle(
    data: st.DataObject, nodes: list[Node], wanted: JobGroupSettings
) -> None:
    before = plan_job_groups(Graph.of(nodes), {}, wanted)
    old = {node.id: node for node in nodes}
    # Only what comes and goes: a cron that changes is what validating a file finds.
    new = [replace(n, cron=old[n.id].cron) if n.id in old else n for n in data.draw(edited(nodes))]
    graph = Graph.of(new)
    plan = place_new_nodes(graph, {}, wanted, before)
    # Settings are for plans: what is in its group stays there whatever they say.
    assert_sound(graph, plan, JobGroupSettings(max_job_groups=100))
    were, are = memberships(before), memberships(plan)
    moved = [node for node in were if node in are and are[node] != were[node]]
    assert bool(moved) == any("can't stay" in warning for warning in plan.warnings)


@given(timed_nodes(), SETTINGS, st.data())
@settings(deadline=None)
def test_pinned_nodes_are_where_people_want_them_or_it_is_refused(
    nodes: list[Node], wanted: JobGroupSettings, data: st.DataObject
) -> None:
    graph = Graph.of(nodes)
    names = st.sampled_from(("daily", "mine"))
    pinned = {node.id: data.draw(names) for node in nodes if data.draw(st.integers(0, 4)) == 0}
    wanted = replace(wanted, pinned=pinned)
    try:
        plan = plan_job_groups(graph, {}, wanted)
    except JobGroupError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.remedy
        return
    assert_sound(graph, plan, wanted)
    assert memberships(plan_job_groups(graph, {}, wanted, plan)) == memberships(plan)
