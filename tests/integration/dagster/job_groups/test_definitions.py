"""Jobs, schedules and tags of job groups, as a code location has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.support.grouped import FILE, grouped, write_groups
from tests.support.scheduler import launched, own_schedules, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transform]:
    transform = grouped(tmp_path_factory.mktemp("grouped"))
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture
def transform(prepared: Transform) -> Iterator[Transform]:
    """With nothing in Dagster's storage."""
    prepared.configure()
    write_groups(prepared, FILE)
    yield prepared
    prepared.close()
    shutil.rmtree(prepared.home)
    prepared.home.mkdir()


def own_jobs(repository: Any) -> set[str]:
    others = ("__", "p_", "transform_pause", "transform_resume")
    return {name for name in repository.job_names if not name.startswith(others)}


def selected(repository: Any, job: str) -> set[str]:
    layer = repository.get_job(job).asset_layer
    return {key.to_user_string() for key in layer.executable_asset_keys}


def test_each_group_has_a_job_and_a_schedule(transform: Transform) -> None:
    repository = transform.repository()
    assert own_jobs(repository) == {"hourly", "daily", "hourly_2"}
    assert selected(repository, "daily") == {"w/mart/days"}
    schedules = {schedule.name: schedule for schedule in own_schedules(repository)}
    assert set(schedules) == {"hourly_schedule", "daily_schedule", "hourly_2_schedule"}
    daily = schedules["daily_schedule"]
    assert (daily.cron_schedule, daily.execution_timezone) == ("0 0 * * *", "UTC")
    assert daily.default_status is dg.DefaultScheduleStatus.STOPPED
    assert daily.job_name == "daily"


def test_one_job_for_all_groups(transform: Transform) -> None:
    transform.configure({"job_groups": {"jobs": "shared", "schedules": "running"}})
    repository = transform.repository()
    assert own_jobs(repository) == {"transform_job_groups"}
    assert selected(repository, "transform_job_groups") == {
        "w/mart/events", "w/mart/days", "w/mart/again"
    }  # fmt: skip
    assert {schedule.job_name for schedule in own_schedules(repository)} == {"transform_job_groups"}
    assert {schedule.default_status for schedule in own_schedules(repository)} == {
        dg.DefaultScheduleStatus.RUNNING
    }


def test_running_schedules_are_those_of_groups(transform: Transform) -> None:
    settings = {
        "job_groups": {"schedules": "running"},
        "check_jobs": {"nightly": {"cron": "@daily"}},
    }
    transform.configure(settings, checks={"when": "apart", "cron": "@daily"})
    running = {
        schedule.name: schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        for schedule in transform.repository().schedule_defs
    }
    others = {"p_janitor_schedule", "p_checks_schedule", "nightly_schedule"}
    assert {name for name, on in running.items() if not on} == others
    transform.configure(settings, janitor={"schedule": "running"})
    (janitor,) = (
        each for each in transform.repository().schedule_defs if each.name == "p_janitor_schedule"
    )
    assert janitor.default_status is dg.DefaultScheduleStatus.RUNNING


def test_assets_are_tagged_with_their_group(transform: Transform) -> None:
    graph = transform.repository().asset_graph
    tags = {
        key.to_user_string(): graph.get(key).tags.get("dagster_transform/job_group")
        for key in graph.materializable_asset_keys
    }
    assert tags == {"w/mart/events": "hourly", "w/mart/days": "daily", "w/mart/again": "hourly_2"}


def test_a_job_of_its_own_has_nothing_but_its_nodes(transform: Transform) -> None:
    graph = transform.repository().get_job("daily").asset_layer.asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "w/mart/days", "w/mart/events"  # what it reads, as something that others make
    }  # fmt: skip
    assert {key.name for key in graph.asset_check_keys} == {"not_null"}


def test_without_a_file_there_is_nothing(transform: Transform) -> None:
    (transform.folder / "job_groups.yaml").unlink()
    repository = transform.repository()
    assert own_jobs(repository) == set()
    assert not own_schedules(repository)


def test_a_new_model_goes_to_a_group_by_rule(
    transform: Transform, caplog: pytest.LogCaptureFixture
) -> None:
    """To the one that has lost all its models, where there is one of its cadence: somebody may have
    renamed them, and the schedule is on."""
    transform.configure(plan="auto")
    write_groups(transform, FILE.replace("[w/mart/again]", "[w/mart/gone]"))
    repository = transform.repository()
    assert selected(repository, "hourly_2") == {"w/mart/again"}
    assert own_jobs(repository) == {"hourly", "daily", "hourly_2"}
    assert "w/mart/again is in no group of the file" in caplog.text
    assert "w/mart/gone" in caplog.text


def test_a_model_that_nobody_has_planned_yet_is_in_no_group(transform: Transform) -> None:
    write_groups(transform, FILE.replace("[w/mart/again]", "[]"))
    repository = transform.repository()
    assert own_jobs(repository) == {"hourly", "daily", "transform_job_groups"}
    assert "hourly_2_schedule" in {schedule.name for schedule in own_schedules(repository)}


def test_a_name_that_a_job_has_already_is_refused_by_its_ticks(transform: Transform) -> None:
    write_groups(transform, FILE.replace("hourly_2:", "p_plan:"))
    repository = transform.repository()
    assert own_jobs(repository) == {"hourly", "daily", "transform_job_groups"}
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-06 05:30"), "p_plan_schedule")
        scheduler.look(utc("2026-11-06 06:00"))
        (tick,) = scheduler.ticks("p_plan_schedule")
    assert tick.error is not None
    assert "Dagster has a job or an op called p_plan" in tick.error.to_string()


def test_a_file_that_is_none_is_refused_with_its_line(transform: Transform) -> None:
    write_groups(transform, FILE.replace("max_concurrent_models: 3", "max_concurrent_models: x"))
    with pytest.raises(Exception, match=r"job_groups.yaml:\d+:\d+: .*max_concurrent_models"):
        transform.repository()


def test_what_does_not_fit_the_graph_any_more_is_told_by_the_ticks(transform: Transform) -> None:
    """A model's cron has changed: its group launches nothing and says why, the others go on, and no
    schedule loses its state."""
    write_groups(transform, FILE.replace('cron: "@daily"', 'cron: "0 6 * * *"'))
    repository = transform.repository()
    assert len(repository.asset_graph.materializable_asset_keys) == 3
    assert own_jobs(repository) == {"hourly", "daily", "hourly_2"}
    with scheduler_of(transform) as scheduler:
        assert set(scheduler.schedules()) == {
            "hourly_schedule", "daily_schedule", "hourly_2_schedule"
        }  # fmt: skip
        scheduler.start(utc("2026-11-03 05:30"))
        scheduler.look(utc("2026-11-03 06:00"))
        (tick,) = scheduler.ticks("daily_schedule")
        assert {run.job_name for run in scheduler.runs()} <= {"hourly", "hourly_2"}
        assert "hourly" in {run.job_name for run in scheduler.runs()}
    assert tick.error is not None
    assert "w/mart/days is due by '0 0 * * *'" in tick.error.to_string()
    assert "job_groups.yaml:" in tick.error.to_string()


@pytest.mark.parametrize(
    ("left", "expected", "now"),
    [
        ('"another version"', {"w/mart/events"}, utc("2026-11-04 06:00")),
        (None, {"p/not_loaded"}, utc("2026-11-05 06:00")),
    ],
    ids=["another version's", "no graph file"],
)
def test_a_group_of_a_project_that_can_not_be_loaded_is_red(
    transform: Transform, left: str | None, expected: set[str], now: datetime
) -> None:
    transform.close()
    path = transform.graph_path()
    text = path.read_text(encoding="utf-8")
    if left is None:
        path.unlink()
    else:
        path.write_text(text.replace('"version"', left), encoding="utf-8")
    try:
        with scheduler_of(transform) as scheduler:
            assert set(scheduler.schedules()) == {
                "hourly_schedule", "daily_schedule", "hourly_2_schedule"
            }  # fmt: skip
            scheduler.start(now - HOUR / 2, "hourly_schedule")
            scheduler.look(now)
            run = [run for run in scheduler.runs() if run.job_name.startswith("hourly")][-1]
            assert launched(run) == expected
            assert not scheduler.execute(run).success
    finally:
        path.write_text(text, encoding="utf-8")
        transform.close()
