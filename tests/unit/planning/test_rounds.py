"""Rounds of a run: where a promotion would wait for what waits for it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome, Readiness, divide_into_rounds, plan_run
from tests.support.run_plans import PLANNED, after, graph, node, plan


def rounds(graph: Graph, nodes: str = "*", *planned: str, **readiness: Readiness) -> list[str]:
    """The rounds, each as words; nodes of these projects are in one plan each."""
    chosen = list(graph.nodes) if nodes == "*" else nodes.split()
    ready = {n: Readiness(promotion=f"{n[0]}:P") for n in chosen if n[0] in (planned or ("a",))}
    ready |= readiness
    return [" ".join(sorted(one)) for one in divide_into_rounds(graph, chosen, ready)]


SANDWICH = graph(node("a:1"), node("b:2", "a:1"), node("a:3", "b:2"), node("a:4"))


def test_what_is_below_another_project_is_planned_in_a_further_round() -> None:
    assert rounds(SANDWICH) == ["a:1 a:4 b:2", "a:3"]


def test_any_number_of_alternations() -> None:
    ids = ["a:1", "b:2", "a:3", "b:4", "a:5", "b:6", "a:7"]
    chain = graph(node("a:1"), *(node(id, above) for above, id in pairwise(ids)))
    assert rounds(chain) == ["a:1 b:2", "a:3 b:4", "a:5 b:6", "a:7"]


def test_what_only_its_own_project_reads_stays_in_one_round() -> None:
    assert rounds(graph(node("a:1"), node("a:2", "a:1"), node("b:3", "a:2"))) == ["a:1 a:2 b:3"]
    assert rounds(graph(node("b:1"), node("a:2", "b:1"))) == ["a:2 b:1"]
    assert rounds(graph()) == [""]


def test_without_a_plan_there_is_one_round() -> None:
    assert divide_into_rounds(SANDWICH, SANDWICH.nodes, {}) == [frozenset(SANDWICH.nodes)]
    # The plan changes nothing above the other project: that one need not wait for it.
    same = {"a:1": Readiness(Outcome.UP_TO_DATE, "it is there", promotion="a:P")}
    assert rounds(SANDWICH, **same) == ["a:1 a:3 a:4 b:2"]


def test_what_was_built_before_and_is_not_shown_yet_counts_as_built() -> None:
    hidden = {"a:1": Readiness(Outcome.UP_TO_DATE, "built before", promotion="a:P", shown=True)}
    assert rounds(SANDWICH, **hidden) == ["a:1 a:4 b:2", "a:3"]
    # And in one round another project waits for its promotion, where its own does not.
    two = graph(node("a:1"), node("b:2", "a:1"), node("a:3", "a:1"), node("b:4", "b:2"))
    result = after(plan(two, "*", readiness={**hidden, "a:3": PLANNED}))
    assert result == {"b:2": {"a:P"}, "b:4": {"b:2"}, "a:3": set(), "a:P": {"a:3"}}


def test_two_plans_that_wait_for_each_other() -> None:
    crossed = graph(node("a:1"), node("b:2", "a:1"), node("b:3"), node("a:4", "b:3"))
    assert rounds(crossed, "*", "a", "b") == ["a:1 b:2 b:3", "a:4"]


def test_a_plan_that_goes_around_by_what_is_not_selected() -> None:
    assert rounds(SANDWICH, "a:1 a:3 a:4") == ["a:1 a:3 a:4"]


@given(st.data())
def test_every_round_can_be_carried_out_after_those_before_it(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    nodes = []
    ids: list[str] = []
    for n in range(count):
        id = f"{data.draw(st.sampled_from('abc'))}:{n:02}"
        nodes.append(node(id, *(data.draw(st.sets(st.sampled_from(ids))) if ids else ())))
        ids.append(id)
    found = graph(*nodes)
    chosen = data.draw(st.sets(st.sampled_from(ids)))
    readiness = {
        n: data.draw(
            st.sampled_from(
                [
                    Readiness(promotion=f"{n[0]}:P"),
                    Readiness(Outcome.UP_TO_DATE, "-", promotion=f"{n[0]}:P", shown=True),
                    Readiness(Outcome.UP_TO_DATE, "-", promotion=f"{n[0]}:P"),
                ]
            )
        )
        for n in sorted(chosen)
        if n[0] in "ab"
    }
    done: set[str] = set()
    for one in divide_into_rounds(found, chosen, readiness):
        assert found.ancestors(one) & chosen <= done | one
        # No circle: else this would raise.
        plan_run(found, one, (), {n: r for n, r in readiness.items() if n in one})
        assert not done & one
        done |= one
    assert done == chosen
