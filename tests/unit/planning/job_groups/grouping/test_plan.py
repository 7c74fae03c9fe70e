"""How small graphs are split into job groups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.graph import Graph
from dagster_transform.planning.job_groups import (
    JobGroupSettings,
    MergeCadences,
    place_new_nodes,
    plan_job_groups,
)
from tests.support.job_groups import assert_sound, groups_by_name, memberships, timed_node

NEVER = JobGroupSettings(merge_cadences=MergeCadences.NEVER)
ALWAYS = JobGroupSettings(merge_cadences=MergeCadences.ALWAYS)
NEEDED = JobGroupSettings()


def split(*nodes, wanted=NEEDED, durations=None, previous=None):  # type: ignore[no-untyped-def]
    graph = Graph.of(nodes)
    plan = plan_job_groups(graph, durations or {}, wanted, previous)
    assert_sound(graph, plan, wanted)
    return plan


def chain(*crons: str, zone: str | None = None):  # type: ignore[no-untyped-def]
    """a, b, c..., each reads the one before."""
    names = "abcdefghij"[: len(crons)]
    return [
        timed_node(name, cron, names[place - 1 : place] if place else "", zone=zone)
        for place, (name, cron) in enumerate(zip(names, crons, strict=True))
    ]


def test_a_cadence_between_two_others_makes_three_groups() -> None:
    plan = split(*chain("@hourly", "@daily", "@hourly"))
    assert groups_by_name(plan) == {"hourly": ["a"], "daily": ["b"], "hourly_2": ["c"]}
    first, middle, last = plan.groups
    assert (first.depends_on, middle.depends_on, last.depends_on) == ((), ("hourly",), ("daily",))
    assert "daily lies between" in last.reason
    assert first.cron.describe() == "hourly"


def test_crons_that_are_written_differently_are_one() -> None:
    plan = split(*chain("@daily", "0 0 * * *", "0 0 * * 0-6"))
    assert groups_by_name(plan) == {"daily": ["a", "b", "c"]}
    assert plan.groups[0].reason.startswith("3 nodes due daily 00:00.")


def test_cadences_share_a_group_only_when_asked() -> None:
    nodes = chain("*/15 * * * *", "@hourly", "*/15 * * * *")
    assert len(split(*nodes).groups) == 3
    assert len(split(*nodes, wanted=NEVER).groups) == 3
    merged = split(*nodes, wanted=ALWAYS)
    assert groups_by_name(merged) == {"every_15_minutes": ["a", "b", "c"]}
    assert merged.crons["p:b"].describe() == "hourly"  # it is due once an hour still
    assert "1 due hourly" in merged.groups[0].reason
    assert "merge_cadences is `always`" in merged.groups[0].reason


def test_the_fewest_nodes_lose_their_schedule_where_there_are_too_many_groups() -> None:
    weekly = [timed_node("w", "@weekly", ["d0"])]
    daily = [timed_node(f"d{n}", "@daily", ["h0"]) for n in range(3)]
    hourly = [timed_node(f"h{n}", "@hourly") for n in range(4)]
    wanted = replace(NEEDED, max_job_groups=2)
    plan = split(*weekly, *daily, *hourly, wanted=wanted)
    assert groups_by_name(plan)["daily"] == ["d0", "d1", "d2", "w"]
    assert "no more than 2 groups" in plan.groups[1].reason
    (warning,) = split(*weekly, *daily, *hourly, wanted=replace(NEVER, max_job_groups=2)).warnings
    assert warning.startswith("There are 3 job groups, and max_job_groups is 2: set merge_cadences")


def test_where_no_cron_covers_another_two_share_one_that_has_the_ticks_of_both() -> None:
    nodes = [timed_node("a", "0 6 * * *"), timed_node("b", "0 18 * * *", ["a"])]
    plan = split(*nodes, wanted=replace(NEEDED, max_job_groups=1))
    assert [(g.cron.text, g.nodes) for g in plan.groups] == [("0 6,18 * * *", ("p:a", "p:b"))]
    assert "share the cron 0 6,18 * * *" in plan.groups[0].reason


def test_zones_never_share_a_group() -> None:
    nodes = [timed_node("a"), timed_node("b", zone="Europe/Zurich"), timed_node("c", zone="UTC")]
    plan = split(*nodes, wanted=replace(ALWAYS, max_job_groups=1))
    assert groups_by_name(plan) == {"daily": ["a", "c"], "daily_2": ["b"]}
    assert "time zones never share a group" in plan.warnings[0]


def test_faster_than_the_minimum_is_clamped_and_said() -> None:
    plan = split(*(timed_node(f"n{n:02}", "* * * * *") for n in range(13)))
    assert [group.cron.text for group in plan.groups] == ["*/5 * * * *"]
    (warning,) = plan.warnings
    assert warning.startswith(
        "n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 3 more would be"
    )
    assert warning.endswith("the minimum of a job group: launched by the cron */5 * * * *.")


def test_nodes_in_no_group_are_listed_with_the_reason() -> None:
    plan = plan_job_groups(
        Graph.of([timed_node("a", None), timed_node("b", "61 * * * *")]), {}, NEEDED
    )
    assert plan.groups == ()
    assert "no cron" in plan.unscheduled["p:a"]
    assert "61 * * * *" in plan.unscheduled["p:b"]
    assert "b can't be scheduled" in plan.warnings[0]


def test_what_lies_between_counts_also_where_it_has_no_cron() -> None:
    by_hand = timed_node("m", None, ["a"])
    plan = split(timed_node("a", "@hourly"), by_hand, timed_node("b", "@daily", ["m"]),
                 timed_node("c", "@hourly", ["b"]))  # fmt: skip
    assert groups_by_name(plan) == {"hourly": ["a"], "daily": ["b"], "hourly_2": ["c"]}
    assert plan.groups[1].depends_on == ("hourly",)


def test_a_finer_child_of_a_coarser_parent_is_warned_about() -> None:
    kind = "INCREMENTAL_BY_TIME_RANGE"
    plan = split(timed_node("a", "@daily", kind=kind, interval_unit="day"),
                 timed_node("b", "@hourly", ["a"], kind=kind, interval_unit="hour"))  # fmt: skip
    assert len(plan.warnings) == 1
    assert "b is built by hour and reads a" in plan.warnings[0]


def star(name: str, count: int, cron: str = "@daily"):  # type: ignore[no-untyped-def]
    return [timed_node(f"{name}{n}", cron, [f"{name}0"] if n else []) for n in range(count)]


def test_what_does_not_depend_on_each_other_can_run_side_by_side() -> None:
    nodes = [*star("a", 12), *star("b", 11), *star("c", 3)]
    plan = split(*nodes)
    sizes = {name: len(found) for name, found in groups_by_name(plan).items()}
    assert sizes == {"daily": 12, "daily_2": 14}  # what is small goes with others
    assert "can run beside daily" in plan.groups[1].reason
    assert len(split(*nodes, wanted=replace(NEEDED, max_job_groups=1)).groups) == 1
    assert len(split(*nodes, wanted=replace(NEEDED, smallest=3)).groups) == 3


def test_parts_are_balanced_by_how_long_they_take() -> None:
    nodes = [node for name in "abcd" for node in star(name, 10)]
    slow = {"p:a0": 4000.0, "p:b0": 2000.0, "p:c0": 1900.0, "p:d0": 1800.0}
    plan = split(*nodes, durations=slow, wanted=replace(NEEDED, max_job_groups=2))
    of = memberships(plan)
    assert len({of[f"p:{name}0"] for name in "bcd"}) == 1  # 5,700 s in all, but 2,060 side by side
    assert of["p:a0"] != of["p:b0"]


def test_what_takes_no_time_is_balanced_too() -> None:
    plan = split(*star("a", 1), *star("b", 1), durations={"p:a0": 0.0, "p:b0": 0.0},
                 wanted=replace(NEEDED, smallest=1))  # fmt: skip
    assert [len(group.nodes) for group in plan.groups] == [1, 1]


def test_a_group_that_is_too_large_is_cut_in_stages() -> None:
    nodes = chain(*["@daily"] * 10)
    plan = split(*nodes, wanted=replace(NEEDED, largest=4))
    assert [len(group.nodes) for group in plan.groups] == [4, 4, 2]
    assert "has at most 4 nodes" in plan.groups[0].reason
    few = split(*nodes, wanted=replace(NEEDED, largest=4, max_job_groups=2))
    assert len(few.groups) == 2
    assert "raise `largest`, or max_job_groups" in few.warnings[0]


def test_where_groups_stay_too_large_all_that_may_be_is_used_at_once() -> None:
    nodes = [timed_node(f"n{n:02}") for n in range(16)]
    wanted = replace(NEEDED, max_job_groups=5, largest=1)
    plan = split(*nodes, wanted=wanted)
    assert len(plan.groups) == 5
    assert memberships(split(*nodes, wanted=wanted, previous=plan)) == memberships(plan)


def test_nodes_are_kept_apart() -> None:
    nodes = [timed_node("a", tags=("team_x",)), timed_node("b", project="q"), timed_node("c")]
    by_project = split(*nodes, wanted=replace(ALWAYS, keep_apart=("project",)))
    assert groups_by_name(by_project) == {"p_daily": ["a", "c"], "q_daily": ["b"]}
    assert "project p, kept apart" in by_project.groups[0].reason
    by_tag = split(*nodes, wanted=replace(ALWAYS, keep_apart=("tag:team_*",)))
    assert groups_by_name(by_tag) == {"team_x_daily": ["a"], "daily": ["c", "b"]}


def test_seconds_are_those_of_the_longest_chain() -> None:
    nodes = [*chain("@daily", "@daily"), timed_node("x", kind="VIEW")]
    plan = split(*nodes, durations={"p:a": 5.0, "p:b": 7.0})
    assert plan.groups[0].seconds == 12.0


@pytest.mark.parametrize(
    ("cron", "name"),
    [
        ("@hourly", "hourly"), ("30 * * * *", "hourly"), ("*/15 * * * *", "every_15_minutes"),
        ("0 */6 * * *", "every_6_hours"), ("15 6 * * *", "daily"), ("0 6,18 * * *", "cron"),
        ("@weekly", "weekly"), ("0 3 * * 1", "weekly"), ("@monthly", "monthly"),
        ("0 3 1 1 *", "yearly"), ("7,19 * * 2 *", "cron"),
    ],
)  # fmt: skip
def test_names_are_words_for_cadences(cron: str, name: str) -> None:
    assert [group.name for group in split(timed_node("a", cron)).groups] == [name]


def test_names_and_what_people_have_written_stay() -> None:
    plan = split(*chain("@hourly", "@daily"))
    edited = replace(
        plan,
        groups=tuple(
            replace(group, name=f"my_{group.name}", description="ours", owners=("me",))
            for group in plan.groups
        ),
    )
    # Another cadence for all nodes of a group: its schedule keeps its name all the same.
    again = split(*chain("@hourly", "0 6 * * *"), previous=edited)
    assert [(g.name, g.cron.text) for g in again.groups] == [
        ("my_hourly", "0 * * * *"),
        ("my_daily", "0 6 * * *"),
    ]
    assert {(g.description, g.owners) for g in again.groups} == {("ours", ("me",))}


def test_a_new_node_goes_to_the_group_with_most_of_what_it_has_to_do_with() -> None:
    nodes = [*star("a", 12), *star("b", 10)]
    before = split(*nodes)
    for read in ("a", "b"):  # the larger group and the smaller one
        new = timed_node("new", "@daily", [f"{read}0", f"{read}3"])
        after = memberships(split(*nodes, new, previous=before))
        assert after == {**memberships(before), "p:new": memberships(before)[f"p:{read}0"]}


def test_nodes_move_only_where_groups_would_have_a_circle() -> None:
    before = split(*star("a", 5), timed_node("h", "@hourly", ["a0"]))
    after = split(*star("a", 5), timed_node("h", "@hourly", ["a0"]),
                  timed_node("z", "@daily", ["h"]), previous=before)  # fmt: skip
    assert groups_by_name(after)["daily_2"] == ["z"]
    moved = [replace(node, deps=(*node.deps, "p:h")) if node.name == "a4" else node
             for node in star("a", 5)]  # fmt: skip
    last = split(*moved, timed_node("h", "@hourly", ["a0"]), previous=before)
    assert groups_by_name(last) == {
        "daily": ["a0", "a1", "a2", "a3"], "hourly": ["h"], "daily_2": ["a4"],
    }  # fmt: skip
    assert "a4 can't stay in the job group daily: with them there" in last.warnings[0]


def test_placing_leaves_all_else_as_it_is() -> None:
    before = split(*star("a", 3, "@hourly"))
    graph = Graph.of([*star("a", 2, "@hourly"), timed_node("d", "@daily", ["a1"])])
    placed = place_new_nodes(graph, {}, NEEDED, before)
    assert groups_by_name(placed) == {"hourly": ["a0", "a1", "d"]}  # no new schedule for one node
    apart = place_new_nodes(graph, {}, NEVER, before)
    assert groups_by_name(apart) == {"hourly": ["a0", "a1"], "daily": ["d"]}


def test_a_full_group_takes_no_new_node() -> None:
    wanted = replace(NEEDED, largest=3)
    before = split(*star("a", 3), wanted=wanted)
    graph = Graph.of([*star("a", 3), timed_node("x", "@daily", ["a0"])])
    placed = place_new_nodes(graph, {}, wanted, before)
    assert groups_by_name(placed) == {"daily": ["a0", "a1", "a2"], "daily_2": ["x"]}


def test_a_node_whose_cron_has_changed_is_placed_anew() -> None:
    before = split(*star("a", 3), timed_node("w", "@weekly"))
    moved = timed_node("a2", "@weekly", ["a0"])
    after = split(*star("a", 2), moved, timed_node("w", "@weekly"), previous=before)
    assert groups_by_name(after) == {"daily": ["a0", "a1"], "weekly": ["a2", "w"]}
    assert after.warnings == ("a2 can't stay in the job group daily: the cron has changed.",)


def test_what_the_settings_have_told_apart_since_leaves_its_group() -> None:
    nodes = [*chain("*/15 * * * *", "@hourly"), timed_node("q", "@hourly", project="q")]
    before = split(*nodes, wanted=ALWAYS)
    now = replace(NEVER, keep_apart=("project",))
    after = split(*nodes, wanted=now, previous=before)
    assert len(after.groups) == 3
    assert {group.name for group in before.groups} <= {group.name for group in after.groups}
    assert any("merge_cadences is `never`" in warning for warning in after.warnings)


def test_a_node_in_no_group_that_groups_read_is_warned_about() -> None:
    plan = split(timed_node("a", None), timed_node("b", "@daily", "a"))
    said = "a is in no group, and nobody builds it before"
    assert plan.warnings == (f"{said} b, which reads it.",)
    readers = [timed_node(name, "@daily", "a") for name in ("b", "c")]
    plan = split(timed_node("a", None), *readers)
    assert plan.warnings == (f"{said} b and c, which read it.",)


def test_a_node_leaves_a_group_that_people_have_given_a_cron_without_its_ticks() -> None:
    before = split(timed_node("a"), timed_node("b", "0 6 * * *", ["a"]))
    nightly, morning = before.groups
    joined = replace(morning, nodes=("p:a", "p:b"))
    after = split(timed_node("a"), timed_node("b", "0 6 * * *", ["a"]),
                  previous=replace(before, groups=(joined,)))  # fmt: skip
    assert {(group.cron, group.nodes) for group in after.groups} == {
        (nightly.cron, ("p:a",)),
        (morning.cron, ("p:b",)),
    }
    assert "has not all of their ticks" in after.warnings[0]


def test_nodes_that_are_kept_apart_since_leave_their_group() -> None:
    nodes = [timed_node("a"), timed_node("b"), timed_node("c", project="q")]
    before = split(*nodes)
    after = split(*nodes, wanted=replace(NEEDED, keep_apart=("project",)), previous=before)
    assert groups_by_name(after) == {"daily": ["a", "b"], "q_daily": ["c"]}
