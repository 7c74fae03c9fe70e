"""A run of a dbt project that has something wrong."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from dagster_transform.dbt.errors import DbtError, DbtRunError
from dagster_transform.dbt.runs.memory_check import OutOfMemoryError
from tests.support.dbt_project_runs import TABLE, TWO, project_of
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database

# -- bad input --------------------------------------------------------------------------------


def test_a_node_that_the_files_no_longer_have_is_named(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, {**TWO, "models/c.sql": TABLE + "SELECT 2 AS n"})
    graph = graph_of(project)
    (project.folder / "models/b.sql").unlink()
    run = DbtRun(project, graph=graph)
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "not_promoted", "c": "built"}
    assert "the project's files do not have it any more" in result.reason("b")
    assert "dagster-transform prepare --project d" in result.reason("b")


def test_a_model_that_does_not_compile_fails_alone(database: Database, tmp_path: Path) -> None:
    broken = TABLE + "SELECT {{ nonsense() }} AS n FROM {{ ref('a') }}"
    project = project_of(database, tmp_path, {**TWO, "models/broken.sql": TABLE + "SELECT 1 AS n"})
    graph = graph_of(project)
    project.write({"models/broken.sql": broken})
    run = DbtRun(project, graph=graph)
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "built", "broken": "failed"}
    assert "'nonsense' is undefined" in result.reason("broken")


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("models/a.sql", "SELECT {{ ref('nothing') }}", "depends on a node named 'nothing'"),
        ("models/a.sql", "SELECT {% if %}", "Compilation Error in model a"),
        ("dbt_project.yml", "name: [", "Syntax error near line"),
        ("profiles.yml", "shop: {outputs: {}}", "does not have a target named|no outputs|target"),
        (
            "profiles.yml",
            "shop: {target: t, outputs: {t: {type: nothing}}}",
            "adapter type nothing",
        ),
    ],
)
def test_a_project_that_can_not_be_loaded_says_why(
    database: Database, tmp_path: Path, path: str, text: str, problem: str
) -> None:
    project = project_of(database, tmp_path, TWO)
    graph = graph_of(project)
    (project.folder / path).write_text(text)
    run = DbtRun(project, graph=graph)
    with pytest.raises(DbtError, match=f"(?s)Project d: .*({problem})"):
        run.open()
    run.project_run.close(completed=False)
    assert not alive(run.pid)
    assert not run.folder.exists()


def test_a_file_that_somebody_holds_says_so(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    with closing(duckdb.connect(str(tmp_path / "w.duckdb"))):
        run = DbtRun(project)
        with pytest.raises(DbtRunError, match=r"\.\nAnother process holds the DuckDB file"):
            run.open()
        run.project_run.close(completed=False)
    assert not alive(run.pid)


def test_without_memory_no_process_is_started(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    with pytest.raises(OutOfMemoryError, match="dbt is started with at most 0%"):
        DbtRun(project, memory=0.0, memory_wait=0.0)
    assert not (tmp_path / "runs").exists()
