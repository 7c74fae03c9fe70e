"""What is wrong is told as what it is: with its own class, the models at fault, and a remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh.errors import (
    ChangeForbiddenError,
    HookError,
    LinterError,
    PackageMissingError,
    PlanRefusedError,
    ProjectFilesError,
    StateError,
    UnexpectedError,
)
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
FORWARD = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true{forbids})
    ---
    SELECT @start_date AS day, {columns}
"""
ADDS = ", on_additive_change error"
Act = Callable[[Project], Any]


def forward(columns: str, forbids: str = "") -> str:
    return FORWARD.format(columns=columns, forbids=forbids)


def running(project: Project, **settings: Any) -> Any:
    project_run = project.project_run(NOW, **settings)
    try:
        project_run.assess(list(project.graph.nodes), [])
        project_run.open([])
    finally:
        project_run.close(completed=False)


def planning(project: Project) -> Any:
    running(project, plan_mode="auto")


def explaining(project: Project) -> Any:
    from dagster_transform.sqlmesh import propose_plan
    from dagster_transform.sqlmesh.plans.explanation import PlanRequest

    proposal = propose_plan(project.name, project.config, project.settings(NOW), PlanRequest.of({}))
    proposal.close()


PLANS = pytest.mark.parametrize("act", [planning, explaining])


def told(act: Act, project: Project, kind: type[TransformError]) -> TransformError:
    with pytest.raises(TransformError) as raised:
        act(project)
    assert type(raised.value) is kind, raised.value
    assert raised.value.remedy
    assert "sqlmesh info" not in str(raised.value)
    return raised.value


def made(folder: Path, models: dict[str, str], **settings: Any) -> Project:
    return Project(folder / "p", Database.in_file(folder / "w.duckdb"), models, **settings)


@PLANS
@pytest.mark.parametrize(
    ("texts", "option"),
    [
        ((forward("1 AS n, 2 AS m"), forward("1 AS n")), "allow_destructive_models"),
        ((forward("1 AS n", ADDS), forward("1 AS n, 2 AS m", ADDS)), "allow_additive_models"),
    ],
    ids=["destructive", "additive"],
)
def test_a_change_that_a_model_forbids(
    act: Act, texts: tuple[str, str], option: str, tmp_path: Path
) -> None:
    project = made(tmp_path, {"mart.a": texts[0], "mart.b": "kind FULL\n---\nSELECT 1 AS n"})
    project.plan_natively(NOW)
    project.model("mart.a", texts[1])
    error = told(act, project, ChangeForbiddenError)
    a = f"{project.database.catalog}/mart/a"
    assert error.nodes == (a,)  # type: ignore[attr-defined]
    assert f"change of {a} " in error.cause
    assert f"{option}: ['mart.a']" in str(error.remedy)


@PLANS
def test_rules_of_the_linter(act: Act, tmp_path: Path) -> None:
    project = made(
        tmp_path,
        {
            "mart.a": "kind FULL\n---\nSELECT * FROM mart.b",
            "mart.b": "kind FULL\n---\nSELECT 1 AS n",
        },
        config={"linter": {"enabled": True, "rules": ["noselectstar"]}},
    )
    error = told(act, project, LinterError)
    a = f"{project.database.catalog}/mart/a"
    assert f"- {a}: noselectstar" in error.cause
    assert error.nodes == (a,)  # type: ignore[attr-defined]
    assert f"cd {project.folder} && sqlmesh lint" in str(error.remedy)


@PLANS
def test_what_else_sqlmesh_refuses_to_plan(act: Act, tmp_path: Path) -> None:
    project = made(tmp_path, {"mart.a": "kind FULL, start '2099-01-01'\n---\nSELECT 1 AS n"})
    error = told(act, project, PlanRefusedError)
    assert "2099-01-01" in error.cause
    assert f"cd {project.folder} && sqlmesh plan prod" in str(error.remedy)


@pytest.mark.parametrize("act", [running, planning])
@pytest.mark.parametrize("table", ["_environments", "_intervals", "_snapshots"])
def test_a_table_of_the_state_is_gone(act: Act, table: str, tmp_path: Path) -> None:
    project = made(tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    assert project.graph
    project.plan_natively(NOW)
    project.database.execute(f"DROP TABLE sqlmesh.{table}")
    error = told(act, project, StateError)
    assert table in error.cause
    assert "sqlmesh state export" in str(error.remedy)


def test_the_state_is_of_another_version(tmp_path: Path) -> None:
    project = made(tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    assert project.graph
    project.plan_natively(NOW)
    for version in (1, 9999):
        project.database.execute(f"UPDATE sqlmesh._versions SET schema_version = {version}")
        error = told(running, project, StateError)
        assert str(version) in error.cause


@pytest.mark.parametrize("hook", ["before_all", "after_all"])
def test_a_hook_that_fails(hook: str, tmp_path: Path) -> None:
    project = made(
        tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}, config={hook: ["SELECT 1 FROM nope"]}
    )
    with pytest.raises(HookError) as raised:
        project.run(NOW, plan_mode="auto")
    assert hook in raised.value.cause
    assert "nope" in raised.value.cause


def test_a_package_that_is_not_installed(tmp_path: Path) -> None:
    project = made(tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    assert project.graph
    project.write({"models/b.py": "import no_such_package_here\n"})
    error = told(planning, project, PackageMissingError)
    assert "no_such_package_here" in error.cause


def test_a_cache_that_can_not_be_written(tmp_path: Path) -> None:
    """A file lies where SQLMesh's cache is to be: so root can't write it either."""
    project = made(tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    assert project.graph
    shutil.rmtree(project.folder / ".cache", ignore_errors=True)
    (project.folder / ".cache").write_text("in the way")
    error = told(planning, project, ProjectFilesError)
    assert ".cache" in error.cause
    assert "cache_dir" in str(error.remedy)


def test_an_error_without_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody expects is told with its place, and the log has its traceback."""
    project = made(tmp_path, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    assert project.graph
    project.plan_natively(NOW)
    # An interval that ends before it begins, as no SQLMesh writes it.
    project.database.execute("UPDATE sqlmesh._intervals SET start_ts = end_ts + 1")
    with caplog.at_level("ERROR"), pytest.raises(TransformError) as raised:
        running(project)
    assert type(raised.value) is UnexpectedError
    assert "Traceback" in caplog.text
