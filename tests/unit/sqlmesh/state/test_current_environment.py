from __future__ import annotations

from types import SimpleNamespace

from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.evaluation import Evaluation


def environment(plan_id: str) -> PlannedEnvironment:
    record = SimpleNamespace(plan_id=plan_id, snapshots=[plan_id], expired=False)
    return PlannedEnvironment.of(record, Evaluation(None, None, None, execution_time=0))


def test_whoever_has_asked_goes_on_with_what_he_was_given() -> None:
    current = CurrentEnvironment(environment("one"))
    before = current.value
    current.replace(environment("two"))
    assert (before.plan_id, before.infos) == ("one", ("one",))
    assert (current.value.plan_id, current.value.infos) == ("two", ("two",))
