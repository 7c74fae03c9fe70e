"""Checks with a position of their own: of a node's code, through code, and of nothing."""

from __future__ import annotations

from dagster_transform.graph import Position
from tests.support.run_plans import WAITS, after, check, graph, node, plan

# 1 -> 2 -> 3, where 1 has a test, and 9 reads 1 too.
NODES = (node("a:1"), node("a:2", "a:1"), node("a:3", "a:2"), node("a:9", "a:1"), check("a:1"))
OF_CODE = Position(behind=("a:1",), before=("a:2",))


def test_a_check_of_a_nodes_code_comes_before_the_node() -> None:
    """A unit test waits for what its node would wait for; others of the node hold it not back."""
    things = graph(
        *NODES, check("a:2", "unit", position=OF_CODE), check("a:2", "more", position=OF_CODE)
    )
    result = after(plan(things, "*", "*"))
    assert result["a:2:unit"] == result["a:2:more"] == {"a:1", "a:1:ok"}
    assert result["a:2"] == {"a:1", "a:1:ok", "a:2:unit", "a:2:more"}
    assert result["a:3"] == {"a:2"}
    assert result["a:9"] == {"a:1", "a:1:ok"}
    # Alone, and without what it waits for.
    assert after(plan(things, "", "a:2:unit")) == {"a:2:unit": set()}
    assert after(plan(things, "a:2", "")) == {"a:2": set()}
    # Where its node is not built, it holds back what is below.
    assert after(plan(things, "a:1 a:3", "a:2:unit"))["a:3"] == {"a:1", "a:2:unit"}


def test_a_check_that_reads_through_code_holds_back_what_reads_through_it() -> None:
    """A test of an ephemeral model over 1, which 2 reads and 9 does not."""
    things = graph(*NODES, check("a:1", "thin", position=OF_CODE))
    result = after(plan(things, "*", "*"))
    assert result["a:1:thin"] == {"a:1", "a:1:ok"}, "dbt skips it where a test of 1 fails"
    assert result["a:2"] == {"a:1", "a:1:ok", "a:1:thin"}
    assert result["a:9"] == {"a:1", "a:1:ok"}
    assert "a:1:thin" in after(plan(things, "a:3", "*"))["a:3"], "2 is looked through"
    assert not plan(things, "a:1", "*", readiness={"a:1": WAITS}).units


def test_a_unit_test_waits_for_tests_that_hold_back_its_node() -> None:
    things = graph(
        *NODES, check("a:1", "thin", position=OF_CODE), check("a:2", "unit", position=OF_CODE)
    )
    assert after(plan(things, "*", "*"))["a:2:unit"] == {"a:1", "a:1:ok", "a:1:thin"}


def test_a_check_through_code_that_also_reads_a_node_waits_for_it() -> None:
    position = Position(after=("a:9",), behind=("a:1",), before=("a:2",))
    things = graph(*NODES, node("a:4", "a:3", "a:9"), check("a:1", "rel", "a:9", position=position))
    result = after(plan(things, "*", "*"))
    assert result["a:1:rel"] == {"a:1", "a:1:ok", "a:9"}
    assert "a:1:rel" not in result["a:2"], "2 is not below 9"


def test_a_check_that_reads_nothing_waits_for_nothing_and_holds_nothing() -> None:
    things = graph(*NODES, check("a:3", "alone", position=Position()))
    result = after(plan(things, "*", "*"))
    assert result["a:3:alone"] == set()
    assert result["a:3"] == {"a:2"}
    # It runs whatever becomes of the node that it is shown on.
    assert set(plan(things, "*", "*", readiness={"a:1": WAITS}).units) == {"a:3:alone"}


def test_a_check_that_only_observes_holds_back_nothing_in_its_turn() -> None:
    things = graph(*NODES, check("a:2", "unit", position=OF_CODE, blocking=False))
    assert after(plan(things, "*", "*"))["a:2"] == {"a:1", "a:1:ok"}
