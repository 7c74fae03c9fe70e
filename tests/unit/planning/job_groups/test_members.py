"""Which nodes a job group file means."""

from __future__ import annotations

from dagster_transform.planning.job_groups.members import Members, members_of
from tests.support.job_group_graphs import graph, node, parsed

GRAPH = graph(
    node("a", "@daily", tags=("night",)),
    node("b", "@daily", "a", tags=("night",)),
    node("c", "@daily", "b"),
    node("by_hand", None, tags=("night",)),
)
SCHEDULED = {id for id, each in GRAPH.nodes.items() if each.cron}


def read(text: str) -> Members:
    return members_of(parsed(text), GRAPH, SCHEDULED)


def one(entry: str) -> tuple[tuple[str, ...], list[str]]:
    found = read(f"job_groups:\n  g:\n    cron: '@daily'\n    {entry}\n")
    names = tuple(id.removeprefix("p:") for id in found.nodes["g"])
    return names, [each.message for each in (*found.errors, *found.drift)]


def test_nodes_are_called_by_all_that_people_call_them() -> None:
    for called in ("db/s/a", "DB/S/a", "s.a", "a", "db.s.a", '"db"."s"."a"', "p:a"):
        assert one(f"nodes: ['{called}']") == (("a",), []), called


def test_selections_and_their_order() -> None:
    assert one("nodes: [c, b, a]") == (("a", "b", "c"), [])
    assert one("nodes: ['tag:night', c]") == (("a", "b", "c"), [])
    assert one("nodes: ['b+']") == (("b", "c"), [])
    assert one("select: +b c") == (("a", "b", "c"), [])
    assert one("select: '*'") == (("a", "b", "c"), [])
    assert one("description: x") == ((), [])


def test_a_name_beside_a_selection_that_has_it_is_no_error() -> None:
    assert one("nodes: ['tag:night', a]") == (("a", "b"), [])
    assert one("nodes: [a, 'tag:night']") == (("a", "b"), [])
    assert one("nodes: [a]\n    select: tag:night") == (("a", "b"), [])


def test_what_is_gone_is_drift_and_may_be_a_slip() -> None:
    names, (said,) = one("nodes: [db/s/aa, a]")
    assert names == ("a",)
    assert said == "there is no node 'db/s/aa'; did you mean 'db/s/a'? take it out if it is no more"
    names, (said,) = one("select: tag:nite b")
    assert names == ("b",)
    assert said.startswith("'tag:nite' in the selection matches no node")
    names, (said,) = one("nodes: ['zzz*']")
    assert "matches no node" in said


def test_close_names_are_not_looked_for_without_end() -> None:
    _, said = one(f"nodes: [{', '.join(f'db/s/aa{n}' for n in range(10))}]")
    assert ["did you mean" in each for each in said] == [True] * 5 + [False] * 5


def test_a_node_without_a_cron_is_drift_where_it_is_named() -> None:
    assert one("nodes: [by_hand]") == (
        (),
        ["db/s/by_hand has no cron, so no schedule builds it"],
    )
    assert one("nodes: ['tag:night']") == (("a", "b"), [])


def test_an_empty_selection_is_an_error() -> None:
    assert one("select: ' , '") == ((), ["The selection is empty; `*` selects everything."])


def test_a_node_has_one_group_and_both_lines_are_said() -> None:
    found = read(
        """
        job_groups:
          x:
            cron: "@daily"
            nodes:
              - a
              - b
              - s.a
          y:
            cron: "@daily"
            nodes: [b]
            select: a
        """
    )
    assert [str(each) for each in found.errors] == [
        (
            "job_groups.yaml:7:9: job_groups.x.nodes[2]: db/s/a is listed twice, line 5: a node "
            "has one group"
        ),
        (
            "job_groups.yaml:10:13: job_groups.y.nodes[0]: db/s/b is in x already, line 6: a node "
            "has one group"
        ),
        (
            "job_groups.yaml:11:5: job_groups.y.select: db/s/a is in x already, line 5: a node has "
            "one group"
        ),
    ]
    assert found.nodes == {"x": ("p:a", "p:b"), "y": ()}
    assert found.places["p:b"] == ("x", ("nodes", 1))
