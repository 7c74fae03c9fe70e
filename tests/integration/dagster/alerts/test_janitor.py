"""The janitor has a schedule, stopped at first, and tells whom it concerns that it failed."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from dagster_transform import build_transform_definitions
from dagster_transform.config import ConfigError
from tests.support.alert_servers import http_server
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

MODELS = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}


def transform_in(folder: Path, **settings: object) -> Transform:
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    return Transform(folder, [project], **settings)


def schedule(folder: Path) -> dg.ScheduleDefinition:
    (found,) = build_transform_definitions(folder).schedules or ()
    assert isinstance(found, dg.ScheduleDefinition)
    return found


def test_the_schedule_is_there_and_stopped_unless_somebody_asks_for_more(tmp_path: Path) -> None:
    transform = transform_in(tmp_path)
    found = schedule(tmp_path)
    assert (found.name, found.job_name) == ("p_janitor_schedule", "p_janitor")
    assert (found.cron_schedule, found.execution_timezone) == ("17 3 * * *", "UTC")
    assert found.default_status is dg.DefaultScheduleStatus.STOPPED
    asked = {"cron": "@daily", "time_zone": "Europe/Zurich", "schedule": "running"}
    transform.configure(janitor=asked)
    found = schedule(tmp_path)
    assert (found.cron_schedule, found.execution_timezone) == ("@daily", "Europe/Zurich")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING
    dg.Definitions.validate_loadable(build_transform_definitions(tmp_path))


@pytest.mark.parametrize(
    ("janitor", "message"),
    [
        ({"cron": ""}, "projects.p.janitor.cron: must be a cron; schedule: stopped is for never"),
        ({"corn": "@daily"}, "unknown key; did you mean 'cron'? known keys: cron, time_zone"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, janitor: dict[str, str], message: str) -> None:
    transform_in(tmp_path, janitor=janitor)
    with pytest.raises(ConfigError) as caught:
        build_transform_definitions(tmp_path)
    assert message in str(caught.value)


def test_a_janitor_that_fails_is_told_once_and_so_is_its_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_server() as inbox:
        monkeypatch.setenv("HOOK", inbox.url)
        channel = {"type": "webhook", "url": "${HOOK}", "projects": "p"}
        other = {"type": "webhook", "url": "${HOOK}", "projects": "q"}
        alerts = {"channels": {"pager": channel, "other": other}}
        transform = transform_in(tmp_path, settings={"alerts": alerts})
        transform.projects[0].plan_natively(utc("2024-03-05 10:30"))
        file = tmp_path / "p" / "config.yaml"
        config = file.read_text(encoding="utf-8")
        file.write_text("gateways: [", encoding="utf-8")
        for expected in (1, 0):
            assert not transform.job("p_janitor").success
            sent = inbox.take()
            assert len(sent) == expected
            if sent:
                assert sent[0]["title"] == "p_janitor: 1 failed"
                assert sent[0]["failed"][0]["projects"] == ["p"]
        file.write_text(config, encoding="utf-8")
        for recovered in ([["p_janitor"]], []):
            assert transform.job("p_janitor").success
            assert [data["recovered"] for data in inbox.take()] == recovered
        transform.close()
