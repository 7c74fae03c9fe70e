"""Jobs of checks: which there are, what they run, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg
import pytest

from dagster_transform.config import CheckJob, DbtProject, TransformConfig
from dagster_transform.config.checks import ProjectChecks
from dagster_transform.dagster.jobs.checks import CheckJobError, check_jobs
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.graph import Check, Graph, Node, Relation
from dagster_transform.planning import timed, times_of


def node(id: str, *tags: str) -> Node:
    project, _, name = id.partition(":")
    relation = Relation("duckdb:/w", None, project, name)
    return Node(id, project, "dbt", name, name, "table", relation, tags=tags)


GRAPH = Graph.of(
    [node("d:a", "money"), node("d:b"), node("e:c", "money")],
    checks=[
        Check("d:a:one", "d", "one", "d:a"),
        Check("d:b:two", "d", "two", "d:b", blocking=False),
        Check("e:c:three", "e", "three", "e:c"),
    ],
)
KEYS = Keys(
    {}, {}, {c.id: dg.AssetCheckKey(dg.AssetKey(c.target), c.name) for c in GRAPH.checks.values()},
    {},
)  # fmt: skip


def made(checks: dict[str, Any], jobs: dict[str, Any] | None = None) -> Any:
    projects = {
        name: DbtProject(framework="dbt", path=".", checks=ProjectChecks(**checks.get(name, {})))
        for name in ("d", "e")
    }
    found = {name: CheckJob(**job) for name, job in (jobs or {}).items()}
    config = TransformConfig(projects=projects, check_jobs=found)
    return check_jobs(config, timed(GRAPH, times_of(config)), KEYS, {"transform"})


def checks_of(job: Any) -> set[str]:
    selection = job.selection
    return {key.name for key in selection.selected_asset_check_keys}


def test_a_project_has_one_for_those_that_run_apart() -> None:
    found = made({"d": {"when": "apart", "cron": "@daily"}})
    (job,) = found.jobs
    assert (job.name, checks_of(job)) == ("d_checks", {"one", "two"})
    (schedule,) = found.schedules
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("@daily", "UTC")


def test_what_stays_in_band_is_not_in_it() -> None:
    (job,) = made({"d": {"when": "apart", "blocking": "after_each"}}).jobs
    assert checks_of(job) == {"two"}
    assert made({"d": {"when": "after_all"}}).jobs == ()


def test_jobs_of_their_own_by_project_and_tag() -> None:
    jobs = {"all": {}, "money": {"tags": ["money"]}, "of_e": {"projects": ["e"]}}
    found = {job.name: checks_of(job) for job in made({}, jobs).jobs}
    assert found == {"all": {"one", "two", "three"}, "money": {"one", "three"}, "of_e": {"three"}}


def test_those_that_never_run_are_in_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    found = made({"d": {"when": "none"}}, {"of_d": {"projects": ["d"]}, "all": {}})
    assert {job.name: checks_of(job) for job in found.jobs} == {"all": {"three"}}
    assert "Job of_d is left out" in caplog.text


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ({"transform": {}}, "a job or an op has that name"),
        ({"d_checks": {}}, "a job or an op has that name"),
        ({"x": {"projects": ["q"]}}, "there is no project q"),
    ],
)
def test_what_can_not_be(jobs: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckJobError, match=words):
        made({"d": {"when": "apart"}}, jobs)
