"""Promotions in the plan of a run."""

from __future__ import annotations

import pytest

from dagster_transform.planning import (
    Outcome,
    Readiness,
    RunPlanError,
    Unit,
    UnitKind,
)
from tests.support.run_plans import (
    CHAIN,
    DONE_PLANNED,
    PLANNED,
    WAITS,
    after,
    check,
    graph,
    node,
    plan,
)

# -- promotions -----------------------------------------------------------------------------------


def test_a_promotion_follows_all_that_it_shows_and_their_blocking_checks() -> None:
    checked = graph(
        node("a:1"), node("a:2", "a:1"), check("a:2"), check("a:2", "warn", blocking=False)
    )
    result = plan(checked, "*", "*", readiness={"a:1": PLANNED, "a:2": PLANNED})
    assert result.units["a:P"] == Unit(
        "a:P", UnitKind.PROMOTE, "a", frozenset({"a:1", "a:2", "a:2:ok"})
    )
    assert result.units["a:1"].promotion == "a:P"
    assert after(result)["a:2"] == {"a:1"}  # its own project reads what is not promoted yet


def test_a_step_of_a_promotion_comes_between_its_two_parts() -> None:
    late = Readiness(promotion="a:P", step="a:S")
    result = plan(CHAIN, "a:1 a:2", readiness={"a:1": PLANNED, "a:2": late})
    assert after(result) == {
        "a:1": set(),
        "a:S": {"a:1"},
        "a:2": {"a:1", "a:S"},
        "a:P": {"a:1", "a:2"},
    }
    assert result.units["a:S"].kind is UnitKind.PROMOTE


def test_a_promotion_without_anything_to_build() -> None:
    result = plan(CHAIN, "a:1 a:2", readiness={"a:1": DONE_PLANNED, "a:2": DONE_PLANNED})
    assert after(result) == {"a:P": set()}
    assert result.units["a:P"].project == "a"
    assert set(result.left_out) == {"a:1", "a:2"}


def test_a_promotion_waits_only_for_what_it_has_to_build() -> None:
    result = plan(CHAIN, "a:1 a:2", readiness={"a:1": PLANNED, "a:2": DONE_PLANNED})
    assert after(result) == {"a:1": set(), "a:P": {"a:1"}}


def test_another_project_waits_for_the_promotion() -> None:
    two = graph(node("a:1"), node("a:2", "a:1"), node("b:3", "a:1"), node("b:4", "b:3"))
    readiness = {"a:1": PLANNED, "a:2": PLANNED}
    assert after(plan(two, "*", readiness=readiness)) == {
        "a:1": set(),
        "a:2": {"a:1"},
        "a:P": {"a:1", "a:2"},
        "b:3": {"a:1", "a:P"},
        "b:4": {"b:3"},
    }
    through = plan(two, "a:1 a:2 b:4", readiness=readiness)
    assert after(through)["b:4"] == {"a:1", "a:P"}


def test_another_projects_check_waits_for_the_promotion_and_does_not_hold_it_back() -> None:
    # A dbt test of a source that is a SQLMesh view: there is no view before the promotion.
    two = graph(
        node("a:1"),
        node("a:2", "a:1"),
        node("b:3", "a:1"),
        check("a:1", "fresh", project="b"),
        check("a:1", "audit"),
    )
    result = plan(two, "*", "*", readiness={"a:1": PLANNED, "a:2": PLANNED})
    assert after(result) == {
        "a:1": set(),
        "a:1:audit": {"a:1"},
        "a:2": {"a:1", "a:1:audit"},
        "a:P": {"a:1", "a:2", "a:1:audit"},
        "a:1:fresh": {"a:1", "a:P"},
        "b:3": {"a:1", "a:P", "a:1:audit", "a:1:fresh"},
    }


def test_a_check_that_reads_what_comes_after_the_promotion_does_not_hold_it_back() -> None:
    two = graph(node("a:1"), node("b:2", "a:1"), check("a:1", "rel", "b:2"))
    result = after(plan(two, "*", "*", readiness={"a:1": PLANNED}))
    assert result["a:P"] == {"a:1"}
    assert result["a:1:rel"] == {"a:1", "b:2"}


def test_a_part_of_a_plan_is_never_promoted() -> None:
    two = graph(node("b:1"), node("a:2"), node("a:3", "b:1"), node("a:4", "a:3"), node("a:5"))
    readiness = {
        "b:1": WAITS,
        "a:2": PLANNED,
        "a:3": PLANNED,
        "a:4": PLANNED,
        "a:5": Readiness(promotion="a:other"),
    }
    result = plan(two, "*", readiness=readiness)
    assert after(result) == {"a:5": set(), "a:other": {"a:5"}}
    because = "its upstream 1 is waiting: its interval is not over"
    assert {id: out.reason for id, out in result.left_out.items()} == {
        "b:1": "its interval is not over",
        "a:2": "its plan can be carried out as a whole only",
        "a:3": because,
        "a:4": because,
    }
    assert {out.outcome for out in result.left_out.values()} == {Outcome.WAITING}


def test_a_plan_that_is_left_out_takes_along_the_plans_below_it() -> None:
    three = graph(node("b:1"), node("a:2", "b:1"), node("a:3"), node("c:4", "a:3"), node("c:5"))
    readiness = {
        "b:1": WAITS,
        **dict.fromkeys(("a:2", "a:3"), PLANNED),
        **dict.fromkeys(("c:4", "c:5"), Readiness(promotion="c:P")),
    }
    result = plan(three, "*", readiness=readiness)
    assert not result.units
    assert len(result.left_out) == 5


def test_a_circle_through_a_promotion_is_refused() -> None:
    sandwich = graph(node("a:1"), node("b:2", "a:1"), node("a:3", "b:2"))
    with pytest.raises(RunPlanError, match="can't promote at once") as error:
        plan(sandwich, "*", readiness={"a:1": PLANNED, "a:3": PLANNED})
    for id in ("a:3", "b:2", "a:P"):
        assert id in str(error.value)
    assert error.value.remedy


def test_the_plan_is_read_only() -> None:
    result = plan(CHAIN, "*", readiness={"a:4": WAITS})
    with pytest.raises(TypeError):
        result.units["a:1"] = result.units["a:2"]  # type: ignore[index]
    with pytest.raises(TypeError):
        result.left_out["a:1"] = result.left_out["a:4"]  # type: ignore[index]
