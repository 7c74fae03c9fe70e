"""The marker that saves loading the files of an environment that was planned from them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.settings import SqlmeshSettings


@pytest.fixture
def settings(tmp_path: Path) -> SqlmeshSettings:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.sql").write_text("SELECT 1", encoding="utf-8")
    return SqlmeshSettings(
        environment="prod",
        paths=[str(project)],
        now=datetime(2024, 3, 5, tzinfo=timezone.utc),
        marker=tmp_path / "planned.json",
    )


def test_files_that_were_planned_are_remembered(settings: SqlmeshSettings) -> None:
    marker = Marker(settings, ["a"])
    assert not marker.files_are_unchanged()
    marker.write("plan-1")
    again = Marker(settings, ["a"])
    assert again.files_are_unchanged()
    assert again.plan_id == "plan-1"
    assert not Marker(settings, ["a", "b"]).files_are_unchanged()  # another selection


def test_a_file_that_changes_while_the_plan_is_carried_out_is_not_planned(
    settings: SqlmeshSettings,
) -> None:
    marker = Marker(settings, ["a"])
    Path(settings.paths[0], "a.sql").write_text("SELECT 2", encoding="utf-8")
    marker.write("plan-1")
    assert not Marker(settings, ["a"]).files_are_unchanged()


def test_a_damaged_marker_costs_time_only(settings: SqlmeshSettings) -> None:
    assert settings.marker is not None
    Marker(settings, ["a"]).write("plan-1")
    settings.marker.write_text("{", encoding="utf-8")
    assert not Marker(settings, ["a"]).files_are_unchanged()
