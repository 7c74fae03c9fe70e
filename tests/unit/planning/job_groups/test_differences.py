"""How two plans of job groups differ."""

from __future__ import annotations

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.differences import (
    Difference,
    Planned,
    What,
    differences,
)
from dagster_transform.planning.job_groups.values import JobGroupPlan
from tests.support.job_group_graphs import graph, group, node, plan

NODES = {name: node(name) for name in "abcdef"}


def planned(found: JobGroupPlan, names: str = "abcdef") -> Planned:
    return Planned(found, graph(*(NODES[name] for name in names)))


BEFORE = planned(plan(group("x", "@daily", "a", "b"), group("y", "@daily", "c", "d")), "abcde")


def since(after: Planned) -> list[Difference]:
    return list(differences(BEFORE, after))


def test_nothing_differs() -> None:
    assert since(BEFORE) == []


def test_a_node_moves_another_appears_one_vanishes() -> None:
    now = plan(group("x", "@daily", "a", "c", "f"), group("y", "@daily", "d"))
    assert since(planned(now, "acdef")) == [
        Difference(What.VANISHES, "db/s/b", "x", ""),
        Difference(What.MOVES, "db/s/c", "y", "x"),
        Difference(What.APPEARS, "db/s/f", "", "x"),
    ]


def test_a_node_comes_to_a_group_or_leaves_all() -> None:
    now = plan(group("x", "@daily", "a", "b", "e"), group("y", "@daily", "c"))
    assert since(planned(now, "abcde")) == [
        Difference(What.CADENCE, "db/s/d", "daily 00:00", ""),
        Difference(What.MOVES, "db/s/d", "y", ""),
        Difference(What.CADENCE, "db/s/e", "", "daily 00:00"),
        Difference(What.MOVES, "db/s/e", "", "x"),
    ]


def test_cadences() -> None:
    now = plan(
        group("x", "@hourly", "a", "b"),
        group("y", "@daily", "c", "d"),
        crons={"p:a": Cron.parse("@daily")},
    )
    assert since(planned(now, "abcde")) == [
        Difference(What.GROUP_CRON, "x", "daily 00:00", "hourly"),
        Difference(What.CADENCE, "db/s/b", "daily 00:00", "hourly"),
    ]


def test_a_group_of_the_same_nodes_has_been_renamed() -> None:
    now = plan(group("new", "@daily", "a", "b"), group("y", "@daily", "c", "d"))
    assert since(planned(now, "abcde")) == [Difference(What.RENAMED_GROUP, "x", "x", "new")]


def test_groups_that_are_joined_or_split_have_not_been_renamed() -> None:
    joined = plan(group("new", "@daily", "a", "b", "c", "d"))
    assert since(planned(joined, "abcde"))[:2] == [
        Difference(What.RENAMED_GROUP, "x", "x", "new"),
        Difference(What.VANISHED_GROUP, "y", "daily 00:00", ""),
    ]
    assert [d.name for d in since(planned(joined, "abcde"))[2:]] == ["db/s/c", "db/s/d"]
    split = plan(
        group("one", "@daily", "a"), group("two", "@daily", "b"), group("y", "@daily", "c", "d")
    )
    assert [d.what for d in since(planned(split, "abcde"))] == [
        What.NEW_GROUP,
        What.NEW_GROUP,
        What.VANISHED_GROUP,
        What.MOVES,
        What.MOVES,
    ]
