from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.planning import (
    LeftOut,
    Limits,
    Outcome,
    Readiness,
    RunPlan,
    Unit,
    UnitKind,
    plan_run,
)
from tests.support.run_plans import (
    CHAIN,
    DONE,
    PLANNED,
    WAITS,
    after,
    check,
    graph,
    node,
    plan,
    source,
)

# -- nodes ----------------------------------------------------------------------------------------


def test_nothing_selected_is_an_empty_plan() -> None:
    assert plan(CHAIN) == RunPlan()


def test_selected_nodes_are_built_dependencies_first() -> None:
    diamond = graph(node("b:z"), node("a:y", "b:z"), node("b:x", "b:z"), node("a:w", "b:x", "a:y"))
    result = plan(diamond, "*")
    assert after(result) == {
        "b:z": set(),
        "a:y": {"b:z"},
        "b:x": {"b:z"},
        "a:w": {"b:x", "a:y"},
    }
    assert list(result.units) == ["b:z", "a:y", "b:x", "a:w"]
    assert result.units["a:w"] == Unit("a:w", UnitKind.BUILD, "a", frozenset({"b:x", "a:y"}))
    assert result.left_out == {}


def test_limits_go_into_the_plan() -> None:
    limits = Limits(max_concurrent_models=2, fail_fast=True)
    assert plan_run(CHAIN, [], [], {}, limits).limits is limits
    assert plan_run(CHAIN, [], [], {}).limits == Limits()


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(KeyError, match="a:9"):
        plan(CHAIN, "a:1 a:9")
    with pytest.raises(KeyError, match="a:1:nothing"):
        plan(CHAIN, "a:1", "a:1:nothing")


def test_order_holds_through_nodes_that_are_not_selected() -> None:
    assert after(plan(CHAIN, "a:1 a:4")) == {"a:1": set(), "a:4": {"a:1"}}


def test_sources_are_not_waited_for() -> None:
    assert after(plan(graph(source("a:raw"), node("a:x", "a:raw")), "a:x")) == {"a:x": set()}


def test_order_holds_through_nodes_that_are_up_to_date() -> None:
    result = plan(CHAIN, "*", readiness={"a:2": DONE, "a:3": DONE})
    assert after(result) == {"a:1": set(), "a:4": {"a:1"}}
    done = LeftOut(Outcome.UP_TO_DATE, "no interval is missing")
    assert result.left_out == {"a:2": done, "a:3": done}


@pytest.mark.parametrize("outcome", [Outcome.WAITING, Outcome.NOT_PROMOTED, Outcome.CLAIMED])
def test_what_is_below_a_node_that_is_not_there_waits_and_names_it(outcome: Outcome) -> None:
    result = plan(CHAIN, "*", readiness={"a:2": Readiness(outcome, "because")})
    why = LeftOut(Outcome.WAITING, f"its upstream 2 is {outcome.value}: because")
    assert list(result.units) == ["a:1"]
    assert result.left_out == {"a:2": LeftOut(outcome, "because"), "a:3": why, "a:4": why}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BLOCKED])
def test_what_is_below_a_node_that_failed_before_the_run_is_blocked(outcome: Outcome) -> None:
    result = plan(CHAIN, "*", readiness={"a:2": Readiness(outcome, "because")})
    why = LeftOut(Outcome.BLOCKED, f"its upstream 2 is {outcome.value}: because")
    assert result.left_out == {"a:2": LeftOut(outcome, "because"), "a:3": why, "a:4": why}


def test_waiting_goes_through_nodes_that_are_not_selected() -> None:
    result = plan(CHAIN, "a:1 a:4", readiness={"a:1": WAITS})
    assert set(result.left_out) == {"a:1", "a:4"}


def test_a_node_that_is_up_to_date_is_complete_whatever_is_above_it() -> None:
    result = plan(CHAIN, "a:1 a:3 a:4", readiness={"a:1": WAITS, "a:3": DONE})
    assert set(result.left_out) == {"a:1", "a:3"}
    assert after(result) == {"a:4": set()}


def test_waiting_holds_back_no_sibling() -> None:
    siblings = graph(node("a:1"), node("a:2", "a:1"), node("a:3"), node("a:4", "a:3"))
    result = plan(siblings, "*", readiness={"a:1": WAITS})
    assert after(result) == {"a:3": set(), "a:4": {"a:3"}}


def test_ten_thousand_nodes_in_a_chain() -> None:
    ids = [f"a:{i:05}" for i in range(10_000)]
    long = graph(*(node(id, *ids[i - 1 : i]) for i, id in enumerate(ids)))
    assert list(plan(long, "*").units) == ids
    ends = plan(long, f"{ids[0]} {ids[-1]}")
    assert after(ends) == {ids[0]: set(), ids[-1]: {ids[0]}}
    result = plan(long, "*", readiness={ids[0]: WAITS})
    assert len({out.reason for out in result.left_out.values()}) == 2
    assert not result.units


# -- checks ---------------------------------------------------------------------------------------


def test_a_check_of_two_nodes_is_waited_for_by_what_is_below_both_and_not_by_what_is_between() -> (
    None
):
    """1 -> 2 -> 4 <- 3, and a blocking check on 1 that also reads 3: 4 must wait, 2 can't."""
    things = graph(
        node("a:1"), node("a:3"), node("a:2", "a:1"), node("a:4", "a:2", "a:3"),
        check("a:1", "ok", "a:3"),
    )  # fmt: skip
    result = plan(things, "a:2 a:3 a:4", "a:1:ok")
    assert after(result)["a:1:ok"] == {"a:3"}
    assert after(result)["a:2"] == set()
    assert after(result)["a:4"] == {"a:2", "a:3", "a:1:ok"}
    assert after(plan(things, "*", "*"))["a:4"] == {"a:2", "a:3", "a:1:ok"}


def test_a_check_starts_when_its_node_is_built_and_holds_back_what_is_below() -> None:
    checked = graph(node("a:1"), node("a:2", "a:1"), node("a:3", "a:2"), check("a:1"))
    result = plan(checked, "*", "*")
    assert after(result) == {
        "a:1": set(),
        "a:1:ok": {"a:1"},
        "a:2": {"a:1", "a:1:ok"},
        "a:3": {"a:2"},
    }
    assert result.units["a:1:ok"] == Unit("a:1:ok", UnitKind.CHECK, "a", frozenset({"a:1"}))


def test_a_check_that_does_not_block_holds_back_nothing() -> None:
    checked = graph(node("a:1"), node("a:2", "a:1"), check("a:1", blocking=False))
    result = plan(checked, "*", "*")
    assert after(result) == {"a:1": set(), "a:1:ok": {"a:1"}, "a:2": {"a:1"}}
    assert result.units["a:1:ok"].blocking is False


def test_a_check_that_was_not_selected_is_not_in_the_plan() -> None:
    checked = graph(node("a:1"), node("a:2", "a:1"), check("a:1"))
    assert set(plan(checked, "*").units) == {"a:1", "a:2"}


def test_a_check_in_the_build_has_no_unit_of_its_own_unless_it_runs_alone() -> None:
    checked = graph(node("a:1"), check("a:1", in_build=True))
    result = plan(checked, "a:1", "*")
    assert after(result) == {"a:1": set()}
    assert result.left_out == {}
    assert after(plan(checked, "", "*")) == {"a:1:ok": set()}


def test_a_plan_of_checks_only_is_flat() -> None:
    checked = graph(
        source("a:raw"),
        node("a:1", "a:raw"),
        node("a:2", "a:1"),
        check("a:raw", "fresh"),
        check("a:1"),
        check("a:2", "ok", "a:1"),
    )
    assert after(plan(checked, "", "*")) == {"a:1:ok": set(), "a:2:ok": set(), "a:raw:fresh": set()}


def test_the_checks_of_a_node_that_is_not_built_are_left_out_with_it() -> None:
    checked = graph(node("a:1"), node("a:2", "a:1"), check("a:1"), check("a:2"))
    result = plan(checked, "*", "*", readiness={"a:1": WAITS})
    assert not result.units
    assert result.left_out["a:1:ok"] == LeftOut(Outcome.WAITING, "its node is waiting")
    assert result.left_out["a:2:ok"] == LeftOut(Outcome.WAITING, "its node is waiting")
    result = plan(checked, "*", "*", readiness={"a:1": DONE})
    assert result.left_out["a:1:ok"].outcome is Outcome.UP_TO_DATE
    assert after(result) == {"a:2": set(), "a:2:ok": {"a:2"}}


def test_what_was_built_before_and_not_judged_then_is_judged_now() -> None:
    checked = graph(
        node("a:1"), node("a:2", "a:1"), check("a:1"), check("a:1", "in", in_build=True)
    )
    unjudged = replace(DONE, unjudged=True)
    result = plan(checked, "*", "*", readiness={"a:1": unjudged})
    assert after(result) == {"a:1:ok": set(), "a:1:in": set(), "a:2": {"a:1:ok", "a:1:in"}}
    assert result.left_out.keys() == {"a:1"}
    assert "a:1:ok" not in plan(checked, "*", "", readiness={"a:1": unjudged}).units


def test_a_check_waits_for_everything_that_it_reads_and_that_is_built() -> None:
    checked = graph(node("a:1"), node("a:2"), node("a:3"), check("a:1", "rel", "a:2", "a:3"))
    assert after(plan(checked, "a:1 a:2", "*"))["a:1:rel"] == {"a:1", "a:2"}
    assert after(plan(checked, "a:2", "*"))["a:1:rel"] == {"a:2"}


def test_blocking_checks_of_sources_and_of_nodes_that_are_not_built_hold_back_too() -> None:
    checked = graph(
        source("a:raw"),
        node("a:1", "a:raw"),
        node("a:2", "a:1"),
        node("a:3", "a:2"),
        check("a:raw", "fresh"),
        check("a:1"),
    )
    assert after(plan(checked, "a:3", "*")) == {
        "a:raw:fresh": set(),
        "a:1:ok": set(),
        "a:3": {"a:raw:fresh", "a:1:ok"},
    }


def test_a_check_that_reads_what_is_below_its_target_does_not_hold_that_back() -> None:
    # dbt's relationships test on a dimension, with the fact table as the other side.
    checked = graph(
        node("a:dim"),
        node("a:fact", "a:dim"),
        node("a:report", "a:dim", "a:fact"),
        node("a:other", "a:dim"),
        check("a:dim", "rel", "a:fact"),
    )
    assert after(plan(checked, "*", "*")) == {
        "a:dim": set(),
        "a:fact": {"a:dim"},
        "a:dim:rel": {"a:dim", "a:fact"},
        "a:report": {"a:dim", "a:fact", "a:dim:rel"},
        "a:other": {"a:dim"},
    }
    assert "a:dim:rel" in after(plan(checked, "a:dim a:other", "*"))["a:other"]


def test_two_checks_that_read_across_make_no_circle() -> None:
    checked = graph(
        node("a:1"),
        node("a:2"),
        node("a:below_1", "a:1"),
        node("a:below_2", "a:2"),
        check("a:1", "rel", "a:below_2"),
        check("a:2", "rel", "a:below_1"),
    )
    result = after(plan(checked, "*", "*"))
    assert result["a:below_1"] == {"a:1"}
    assert result["a:below_2"] == {"a:2"}


def test_a_plan_builds_over_what_it_lets_wait_and_others_do_not() -> None:
    """SQLMesh's plan knows what there is of an upstream that waits for more; dbt does not."""
    waits = Readiness(Outcome.WAITING, "a signal holds it", promotion="a:P")
    mixed = graph(
        node("a:1"),
        node("a:2", "a:1"),
        node("b:3", "a:1"),
        node("a:4", "b:3"),
    )
    readiness = {"a:1": waits, "a:2": PLANNED}
    result = plan(mixed, "a:1 a:2 b:3", readiness=readiness)
    assert set(result.units) == {"a:2", "a:P"}
    assert after(result)["a:P"] == {"a:2"}
    assert result.left_out["b:3"].outcome is Outcome.WAITING
    # Behind another project's node that waits, the plan can't know.
    broken = plan(mixed, "*", readiness={**readiness, "a:4": PLANNED})
    assert not broken.units
    # Nor behind what another run has claimed.
    claimed = {"a:1": Readiness(Outcome.CLAIMED, "another run"), "a:2": PLANNED}
    assert not plan(mixed, "a:1 a:2", readiness=claimed).units
