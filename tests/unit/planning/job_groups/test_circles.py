"""Groups that wait for each other."""

from __future__ import annotations

from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.circles import Because, Circle, circles_of, waits_of
from dagster_transform.planning.job_groups.values import JobGroupName
from tests.support.job_group_graphs import graph, node


def groups(**of: str) -> dict[NodeId, JobGroupName]:
    """By group the names of its nodes."""
    return {NodeId(f"p:{n}"): JobGroupName(name) for name, nodes in of.items() for n in nodes}


CHAIN = graph(
    node("a"), node("b", "@daily", "a"), node("c", "@daily", "b"), node("d", "@daily", "c")
)


def circles(**of: str) -> list[Circle]:
    names = [JobGroupName(name) for name in of]
    return list(circles_of(waits_of(CHAIN, groups(**of)), names))


def test_groups_wait_for_what_they_read() -> None:
    waits = waits_of(CHAIN, groups(x="ab", y="cd"))
    assert waits == {"y": {"x": Because(NodeId("p:b"), NodeId("p:c"), direct=True)}}
    assert circles(x="ab", y="cd") == []


def test_nodes_without_a_group_lie_between() -> None:
    waits = waits_of(CHAIN, groups(x="a", y="d"))
    assert waits == {"y": {"x": Because(NodeId("p:a"), NodeId("p:d"), direct=False)}}


def test_a_way_out_of_a_group_and_back_through_nodes_without_one_is_no_circle() -> None:
    assert circles(x="ad") == []


def test_a_circle_begins_with_the_first_group_and_goes_with_the_data() -> None:
    (found,) = circles(x="ad", y="b", z="c")
    assert found.groups == ("x", "y", "z")
    assert [(why.above, why.below) for why in found.why] == [
        ("p:a", "p:b"),
        ("p:b", "p:c"),
        ("p:c", "p:d"),
    ]


def test_each_group_is_in_one_circle_and_the_shortest_comes_first() -> None:
    (found,) = circles(z="d", x="ac", y="b")
    assert found.groups == ("x", "y")


def test_what_is_read_directly_is_said_rather_than_what_lies_behind() -> None:
    both = graph(node("a"), node("m", None, "a"), node("b", "@daily", "m", "a"))
    waits = waits_of(both, groups(x="a", y="b"))
    assert waits["y"]["x"].direct
