from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.work import Work

HAS: Any = SimpleNamespace(name="n", intervals=[(0, 1), (1, 2)], dev_intervals=[])
EVALUATION = Evaluation(
    scheduler=SimpleNamespace(snapshots_by_name={"n": HAS}),
    deployability=SimpleNamespace(is_representative=lambda _: True),
    naming=None,
    execution_time=0,
)
ENVIRONMENT = CurrentEnvironment(PlannedEnvironment("plan", (), EVALUATION))
MINE: Any = SimpleNamespace(name="n")


def judged(work: Work | None, outcome: Outcome | None = None) -> tuple[Any, list[tuple[int, int]]]:
    works = {"n": work} if work is not None else {}
    assessment = Assessment({"n": Readiness(outcome, "x" if outcome else "")}, works, ENVIRONMENT)
    return assessment.judged("n", assessment.evaluation)


def test_a_check_judges_what_the_run_has_built() -> None:
    work = Work(MINE, [(2, 3), (3, 4)], recorded={1})
    assert judged(work) == (MINE, [(3, 4)])


def test_a_check_judges_the_batch_whose_blocking_audit_has_failed() -> None:
    assert judged(Work(MINE, [(2, 3), (3, 4)])) == (MINE, [(2, 3)])


def test_a_check_of_what_the_run_does_not_build_judges_all_that_ever_was() -> None:
    assert judged(None) == (HAS, [(0, 2)])
    assert judged(Work(MINE, [])) == (HAS, [(0, 2)])
    assert judged(Work(MINE, [(2, 3)]), Outcome.WAITING) == (HAS, [(0, 2)])
