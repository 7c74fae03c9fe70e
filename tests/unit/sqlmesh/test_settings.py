from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dagster_transform.sqlmesh import HooksOfRun, Restatement, SqlmeshSettings
from dagster_transform.sqlmesh.settings import PlanMode
from dagster_transform.walk import Unclaimed

NOW = datetime(2024, 3, 5, 10, 30, tzinfo=timezone.utc)


def settings(
    environment: str = "prod", plan_mode: PlanMode = "never", restate: Restatement | None = None
) -> SqlmeshSettings:
    return SqlmeshSettings(environment, ["/p"], NOW, plan_mode=plan_mode, restate=restate)


@pytest.mark.parametrize(
    ("hooks", "due"),
    [
        (HooksOfRun(), False),
        (HooksOfRun(begun=True), True),
        (HooksOfRun(begun=True, ended=True), False),
        (HooksOfRun(ended=True), False),  # cancelled before anything was carried out
    ],
)
def test_after_all_is_due_once_before_all_was_carried_out(hooks: HooksOfRun, due: bool) -> None:
    assert hooks.due is due


def test_each_run_has_hooks_of_its_own_and_no_claims_by_default() -> None:
    one, other = settings(), settings()
    assert one.hooks is not other.hooks
    assert isinstance(one.guard, Unclaimed)


def test_a_run_that_restates_makes_no_plan() -> None:
    restate = Restatement("2024-03-01", "2024-03-02")
    assert settings(plan_mode="auto").may_plan
    assert not settings(plan_mode="auto", restate=restate).may_plan
    assert not settings().may_plan


def test_the_moment_in_milliseconds_and_what_is_development() -> None:
    assert settings().execution_time == 1_709_634_600_000
    assert settings("dev").is_development
    assert not settings("prod").is_development
