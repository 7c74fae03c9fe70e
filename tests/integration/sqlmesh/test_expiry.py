"""Development environments that expire: `plan: auto` renews them, and a run that does not plan
says it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
MODELS = {"mart.a": "kind FULL\n---\nSELECT 1::INT AS n"}
HOUR = 3_600_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(
        tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS, environment="dev"
    )
    project.run(NOW, plan_mode="auto", marker=tmp_path / "marker.json")
    return project


def clock() -> int:
    return int(datetime.now(timezone.utc).timestamp() * 1000)


def expire(project: Project, moment: int) -> None:
    project.database.execute(f"UPDATE sqlmesh._environments SET expiration_ts = {moment}")


def warnings(project: Project, **settings: Any) -> list[str]:
    """What a run says beyond its outcomes."""
    said: list[str] = []
    project.run(NOW, log=lambda _, text: said.append(text), **settings)
    return said


def test_auto_renews_it_as_sqlmesh_does(project: Project, tmp_path: Path) -> None:
    marker = tmp_path / "marker.json"
    fresh = project.environment("dev")
    project.run(NOW, plan_mode="auto", marker=marker)
    assert project.environment("dev") == fresh
    expire(project, clock() - HOUR)
    run = project.run(NOW, plan_mode="auto", marker=marker)
    assert run.outcome("p:promotion of dev").value == "promoted"
    ours = project.environment("dev").expiration_ts
    expire(project, clock() - HOUR)
    project.plan_natively(NOW, "dev", include_unmodified=True)
    native = project.environment("dev").expiration_ts
    assert abs(ours - native) < HOUR
    assert ours > clock() + 6 * 24 * HOUR


def test_never_names_it_and_how_to_keep_it(project: Project) -> None:
    assert warnings(project) == []
    expire(project, clock() - HOUR)
    (said,) = warnings(project)
    assert "environment dev has expired on 20" in said
    assert f"cd {project.folder} && sqlmesh plan dev" in said


def test_a_part_of_it_does_not_renew_it_but_names_it(tmp_path: Path) -> None:
    """SQLMesh plans an expired environment as a new one: the views of the rest would be dropped."""
    models = {**MODELS, "mart.b": "kind FULL\n---\nSELECT 2::INT AS n"}
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, models, environment="dev")
    marker = tmp_path / "marker.json"
    for selected in (None, ["mart.a"]):
        project.run(NOW, selected, plan_mode="auto", marker=marker)
    expire(project, clock() - HOUR)
    said: list[str] = []
    run = project.run(
        NOW, ["mart.a"], plan_mode="auto", marker=marker, log=lambda _, text: said.append(text)
    )
    assert run.outcomes == {"mart.a": "built"}
    assert "has expired" in said[0]
    assert database.content("mart__dev.b") == [(2,)]


def test_production_never_expires(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    project.run(NOW, plan_mode="auto")
    assert warnings(project) == []
