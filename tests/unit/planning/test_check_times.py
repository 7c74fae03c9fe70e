"""When checks run, as what transform.yaml and a run say; and what that makes of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.graph import Graph, Position, When
from dagster_transform.planning import (
    CheckTimes,
    Outcome,
    Readiness,
    in_one_pool,
    over,
    timed,
)
from tests.support.run_plans import after, check, graph, node, plan

BLOCKING, WARNING = check("a:1", "must"), check("a:1", "may", blocking=False)
IN_BUILD = check("a:1", "inner", in_build=True)
CODE = check("a:2", "unit", position=Position(behind=("a:1",), before=("a:2",)))
GRAPH = graph(node("a:1"), node("a:2", "a:1"), BLOCKING, WARNING, IN_BUILD, CODE)


def at(when: When, blocking: When | None = None) -> Graph:
    return timed(GRAPH, {"a": CheckTimes(when, blocking)})


def test_in_band_blocking_ones_come_before_what_is_below_and_others_beside_it() -> None:
    found = plan(at(When.AFTER_EACH), "*", "*")
    assert after(found) == {
        "a:1": set(),
        "a:1:may": {"a:1"},
        "a:1:must": {"a:1"},
        "a:2:unit": {"a:1", "a:1:must"},
        "a:2": {"a:1", "a:1:must", "a:2:unit"},
    }
    assert not any(unit.last for unit in found.units.values())


def test_after_all_they_come_last_and_hold_nothing_back() -> None:
    found = plan(at(When.AFTER_ALL), "*", "*")
    assert after(found) == {
        "a:1": set(),
        "a:1:inner": {"a:1"},  # the build does not run it any more
        "a:1:may": {"a:1"},
        "a:1:must": {"a:1"},
        "a:2:unit": {"a:1"},
        "a:2": {"a:1", "a:2:unit"},  # afterwards it would judge what is there already
    }
    last = {id for id, unit in found.units.items() if unit.last}
    assert last == {"a:1:inner", "a:1:may", "a:1:must"}
    assert found.units["a:1:must"].blocking  # its failure is one all the same


@pytest.mark.parametrize("when", [When.APART, When.NONE])
def test_others_are_left_out_with_a_reason(when: When) -> None:
    found = plan(at(when), "*", "*")
    assert set(found.units) == {"a:1", "a:2"}
    assert found.units["a:2"].after == {"a:1"}
    reasons = {why.reason for why in found.left_out.values()}
    assert reasons == {
        {When.APART: "it runs apart from builds (checks: apart)",
         When.NONE: "no checks are asked for (checks: none)"}[when]
    }  # fmt: skip


def test_blocking_ones_can_have_a_time_of_their_own() -> None:
    found = plan(at(When.APART, When.AFTER_EACH), "*", "*")
    assert set(found.units) == {"a:1", "a:1:must", "a:2:unit", "a:2"}
    assert set(found.left_out) == {"a:1:may"}  # inner runs in the build


def test_a_run_that_builds_nothing_is_one_pool() -> None:
    for when in When:
        found = plan(in_one_pool(at(when)), "", "*")
        assert set(found.units) == {"a:1:inner", "a:1:may", "a:1:must", "a:2:unit"}
        assert not any(unit.after for unit in found.units.values())
        assert found.left_out == {}


def test_checks_of_a_node_that_is_not_built_are_left_out_with_it() -> None:
    waits = {"a:1": Readiness(Outcome.WAITING, "later")}
    found = plan(at(When.AFTER_ALL), "*", "*", readiness=waits)
    assert found.left_out["a:1:must"].reason == "its node is waiting"


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        (CheckTimes(), (None, None), CheckTimes()),
        (CheckTimes(When.APART, When.AFTER_EACH), (None, None), None),
        # `when` alone is meant for all of them
        (CheckTimes(When.APART, When.AFTER_EACH), (When.NONE, None), CheckTimes(When.NONE)),
        (CheckTimes(When.APART), (None, When.NONE), CheckTimes(When.APART, When.NONE)),
    ],
)
def test_what_a_run_says_counts(own: CheckTimes, asked: Any, expected: CheckTimes | None) -> None:
    assert over(own, *asked) == (expected or own)


def test_a_graph_keeps_all_but_the_times() -> None:
    found = at(When.APART)
    assert {c.when for c in found.checks.values()} == {When.APART}
    assert {c.when for c in found.checks_of("a:1")} == {When.APART}
    assert timed(found, {}) == GRAPH
