"""Environment variables that have another value in a run than when the graph was prepared: the
gateway, the connection, the catalog. What is claimed is what is there, and it is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.graph import CheckId, NodeId, UnitId
from dagster_transform.planning import Unit, UnitKind
from dagster_transform.sqlmesh.errors import ProjectLoadError
from tests.support.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

NOW = utc("2024-03-05 10:30")
MODELS = {"mart.a": "kind FULL\n---\nSELECT 1::INT AS n"}


def project_of(folder: Path, first: Database, second: Database, **config: Any) -> Project:
    """A project with a gateway for each of two databases, both of which have been planned."""
    gateways = {
        name: {"connection": {**database.connection, **config}}
        for name, database in (("main", first), ("other", second))
    }
    project = Project(folder / "p", first, MODELS, config={"gateways": gateways})
    for name in gateways:
        choose(project, name)
        project.run(NOW, plan_mode="auto")
    choose(project, "main")
    return project


def choose(project: Project, gateway: str) -> None:
    """As `gateway: ${GATEWAY}` in transform.yaml, before the graph is prepared."""
    project.config = project.config.model_copy(update={"gateway": gateway})
    project.forget_graph()


def look(project: Project) -> tuple[list[str], str]:
    """What a run with the graph as it is says, and what it claims for the model."""
    said: list[str] = []
    run = project.project_run(NOW, log=lambda _, text: said.append(text))
    node = project.id("mart.a")
    try:
        run.assess([NodeId(UnitId(node))], list[CheckId]())
        key = run.claim_key(Unit(UnitId(node), UnitKind.BUILD, project.name))
    finally:
        run.close(completed=False)
    return said, str(key)


def test_the_same_names_on_another_server_are_built_and_claimed_there(tmp_path: Path) -> None:
    """Two files of one name: the assets' keys are right, and the database is another one."""
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    databases = [Database.in_file(folder / "w.duckdb") for folder in (first, second)]
    project = project_of(tmp_path, *databases)
    assert project.graph.nodes  # prepared with the first
    said, key = look(project)
    assert said == []
    assert str(first / "w.duckdb") in key
    project.config = project.config.model_copy(update={"gateway": "other"})
    said, key = look(project)
    (line,) = said
    assert str(first / "w.duckdb") in line
    assert str(second / "w.duckdb") in line
    assert "dagster-transform prepare" in line
    assert str(second / "w.duckdb") in key
    before = databases[0].content("sqlmesh._environments")
    assert project.run(NOW).outcomes == {"mart.a": "built"}
    assert databases[0].content("sqlmesh._environments") == before


def test_another_catalog_is_refused_for_its_assets_are_others(tmp_path: Path) -> None:
    databases = [Database.in_file(tmp_path / f"{name}.duckdb") for name in ("one", "two")]
    project = project_of(tmp_path, *databases)
    assert project.graph.nodes
    project.config = project.config.model_copy(update={"gateway": "other"})
    with pytest.raises(ProjectLoadError, match="The catalog is two, where the assets' is one"):
        look(project)
    with pytest.raises(ProjectLoadError, match="prepare"):
        project.run(NOW, plan_mode="auto")


@pytest.mark.postgres
def test_another_database_of_a_server(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    file = Database.in_file(tmp_path / "w.duckdb")
    project = project_of(tmp_path, file, Database.in_postgres(postgres_database))
    assert project.graph.nodes
    project.config = project.config.model_copy(update={"gateway": "other"})
    with pytest.raises(ProjectLoadError, match=r"in this run mart\.a is in postgres:"):
        look(project)
