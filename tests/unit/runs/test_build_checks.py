"""Checks that builds run: which, and why those did not run whose build did not come so far."""

from __future__ import annotations

import pytest

from dagster_transform.graph import Check, Graph, Node, Relation, When
from dagster_transform.planning import LeftOut, Outcome, Unit, UnitKind
from dagster_transform.runs.build_checks import checks_in_build, not_run_in_builds
from dagster_transform.walk import CheckResult, Finished, Report

A = Node("p:a", "p", "sqlmesh", "a", "a", "FULL", Relation("duckdb:/w", None, "m", "a"))
BUILD = Unit("p:a", UnitKind.BUILD, "p")
GRAPH = Graph.of(
    [A],
    checks=[
        Check("p:a:one", "p", "one", "p:a", in_build=True),
        Check("p:a:two", "p", "two", "p:a", in_build=True),
        Check("p:a:warns", "p", "warns", "p:a", blocking=False),  # a unit of its own
        Check("p:a:apart", "p", "apart", "p:a", in_build=True, when=When.APART),
    ],
)


def test_a_build_runs_blocking_audits_beside_it() -> None:
    assert [check.name for check in checks_in_build(GRAPH, "p:a")] == ["one", "two"]
    assert checks_in_build(GRAPH, "p:a:warns") == checks_in_build(GRAPH, "p:promotion") == []


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (Finished(BUILD, Outcome.BUILT), None),
        (Finished(BUILD, Outcome.UP_TO_DATE), None),
        (Finished(BUILD, Outcome.FAILED, "no"), LeftOut(Outcome.BLOCKED, "upstream failed: A")),
        (
            Finished(BUILD, Outcome.BLOCKED, "upstream failed: B"),
            LeftOut(Outcome.BLOCKED, "upstream failed: B"),
        ),
        (
            Finished(BUILD, Outcome.CLAIMED, "run 1 has it"),
            LeftOut(Outcome.WAITING, "its upstream A is claimed: run 1 has it"),
        ),
    ],
)
def test_checks_of_what_was_not_built_are_not_run(end: Finished, left: LeftOut | None) -> None:
    found = not_run_in_builds(GRAPH, lambda id: id[2:].upper(), {"p:a": end})
    assert found == ({} if left is None else {"p:a:one": left, "p:a:two": left})


def test_what_a_build_has_judged_before_it_failed_did_run() -> None:
    result = CheckResult("p:a:one", passed=True, failed_rows=0)
    report = Report("p:a", Outcome.FAILED, "no", checks=(result,))
    found = not_run_in_builds(GRAPH, str, {"p:a": Finished(BUILD, Outcome.FAILED, "no", report)})
    assert list(found) == ["p:a:two"]
