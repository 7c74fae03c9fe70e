"""Whatever is wrong with a project is told once: with a cause and a remedy, without a password."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.config import SqlmeshProject
from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh.errors import (
    DatabaseError,
    EnvironmentNotPlannedError,
    ProjectLoadError,
    SqlmeshError,
)
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
SECRET = "hunter2-secret"
MODEL = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}

Act = Callable[[Project], Any]


def reading(project: Project) -> Any:
    return project.read()


def running(project: Project) -> Any:
    """A run of what the environment has. Its graph was written when all was well."""
    project_run = project.project_run(NOW)
    try:
        return project_run.assess(list(project.graph.nodes), [])
    finally:
        project_run.close(completed=False)


def planning(project: Project) -> Any:
    project_run = project.project_run(NOW, plan_mode="auto")
    try:
        return project_run.assess(list(project.graph.nodes), [])
    finally:
        project_run.close(completed=False)


ACTS = pytest.mark.parametrize("act", [reading, running, planning])
BOTH = pytest.mark.parametrize("act", [reading, planning])  # what only loading files can find


@pytest.fixture
def healthy(tmp_path: Path) -> Project:
    """A project whose graph is known, before a test breaks it."""
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODEL)
    assert project.graph
    return project


def with_config(project: Project, text: str) -> Project:
    """Breaks the project's config.yaml; the graph stays the one from before."""
    (project.folder / "config.yaml").write_text(text, encoding="utf-8")
    return project


def with_connection(project: Project, connection: str) -> Project:
    text = (
        f"gateways: {{main: {{connection: {connection}}}}}\ndefault_gateway: main\n"
        "disable_anonymized_analytics: true\nmodel_defaults: {dialect: duckdb, start: 2024-03-01}\n"
    )
    return with_config(project, text)


def one_error(
    act: Act, project: Project, kind: type[TransformError], caplog: pytest.LogCaptureFixture
) -> TransformError:
    """What `act` raises: exactly one error of ours, and nowhere a password."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(TransformError) as raised:
        act(project)
    error = raised.value
    assert type(error) is kind
    assert isinstance(error, SqlmeshError)
    assert error.cause
    assert error.remedy
    assert project.name in error.cause
    text = "".join(traceback.format_exception(error))
    assert "During handling of the above" not in text
    assert "direct cause of the following" not in text
    for told in (str(error), repr(error), text, caplog.text):
        assert SECRET not in told
    assert "\x1b" not in str(error)  # no colours: it is shown in places that have none
    return error


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# -- the database ---------------------------------------------------------------------------------


@ACTS
def test_a_server_that_is_not_there(
    act: Act, healthy: Project, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    project = with_connection(
        healthy,
        f"{{type: postgres, host: 127.0.0.1, port: {closed_port}, user: u, "
        f"password: {SECRET}, database: w}}",
    )
    error = one_error(act, project, DatabaseError, caplog)
    assert "Connection refused" in error.cause
    assert "connection" in str(error.remedy)


@pytest.mark.postgres
@ACTS
def test_a_database_that_is_not_there(
    act: Act, healthy: Project, postgres: Any, caplog: pytest.LogCaptureFixture
) -> None:
    project = with_connection(
        healthy,
        f"{{type: postgres, host: '{postgres.host}', port: {postgres.port}, "
        f"user: {postgres.user}, password: {SECRET}, database: w}}",  # the catalog of its keys
    )
    error = one_error(act, project, DatabaseError, caplog)
    assert '"w" does not exist' in error.cause


@ACTS
def test_a_file_in_a_folder_that_is_not_there(
    act: Act, healthy: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "no" / "folder" / "w.duckdb"
    project = with_connection(
        healthy, f"{{type: duckdb, database: '{path}', connector_config: {{s3_region: {SECRET}}}}}"
    )
    error = one_error(act, project, DatabaseError, caplog)
    assert str(path) in error.cause


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate("\n")


def test_a_file_that_another_process_holds(
    healthy: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    healthy.plan_natively(NOW)
    with held_by_another_process(tmp_path / "w.duckdb"):
        for act in (reading, running, planning):
            error = one_error(act, healthy, DatabaseError, caplog)
            assert "another process holds" in str(error.remedy).lower()
    assert planning(healthy)  # it can be used again


# -- the environment ------------------------------------------------------------------------------


def test_an_environment_that_was_never_planned(
    healthy: Project, caplog: pytest.LogCaptureFixture
) -> None:
    error = one_error(running, healthy, EnvironmentNotPlannedError, caplog)
    assert "environment prod was never planned" in error.cause
    assert f"cd {healthy.folder} && sqlmesh plan prod" in str(error.remedy)
    assert "plan: auto" in str(error.remedy)


def test_a_plan_that_was_never_finished(healthy: Project, caplog: pytest.LogCaptureFixture) -> None:
    healthy.plan_natively(NOW)
    healthy.database.execute("UPDATE sqlmesh._environments SET finalized_ts = NULL")
    error = one_error(running, healthy, EnvironmentNotPlannedError, caplog)
    assert "has not come to its end" in error.cause
    run = healthy.run(NOW, plan_mode="auto")  # applies it again
    assert run.outcome("p:promotion of prod").value == "promoted"  # type: ignore[union-attr]
    assert healthy.environment().finalized_ts  # type: ignore[union-attr]


# -- the files ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "query", ["SELECT 1 AS n FROM (", "SELECT no_such_macro(@nothing_here) AS n", "SELEC 1"]
)
def test_a_model_that_is_no_sql(
    act: Act, query: str, healthy: Project, caplog: pytest.LogCaptureFixture
) -> None:
    graph = healthy.graph
    healthy.model("mart.a", f"kind FULL\n---\n-- {SECRET[:7]}\n{query}")
    healthy._graph = graph
    error = one_error(act, healthy, ProjectLoadError, caplog)
    assert "a.sql" in error.cause


CONFIGS = {
    "no YAML": "gateways: {main: [\npassword: " + SECRET,
    "an unknown key": f"no_such_key: 1\ngateways: {{main: {{connection: {{type: postgres, "
    f"host: h, port: 1, user: u, password: {SECRET}, database: d}}}}}}",
    "a wrong type": f"gateways: {{main: {{connection: {{type: postgres, host: h, port: many, "
    f"user: u, password: {SECRET}, database: d}}}}}}",
    "a missing key": f"gateways: {{main: {{connection: {{type: postgres, password: {SECRET}}}}}}}",
    "an unknown engine": f"gateways: {{m: {{connection: {{type: abacus, password: {SECRET}}}}}}}",
    "a wrong place": f"gateways: {{main: {{type: postgres, password: {SECRET}}}}}",
    "no dialect": "gateways: {main: {connection: {type: duckdb}}}",
    "nothing": "",
}


@ACTS
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_broken_config(
    act: Act, config: str, healthy: Project, caplog: pytest.LogCaptureFixture
) -> None:
    one_error(act, with_config(healthy, config), ProjectLoadError, caplog)


@ACTS
def test_a_gateway_that_is_not_there(
    act: Act, healthy: Project, caplog: pytest.LogCaptureFixture
) -> None:
    healthy.config = SqlmeshProject(
        framework="sqlmesh",
        path=healthy.folder,
        gateway="nowhere",  # type: ignore[arg-type]
    )
    error = one_error(act, healthy, ProjectLoadError, caplog)
    assert "nowhere" in error.cause


# -- while it runs --------------------------------------------------------------------------------


@pytest.mark.postgres
def test_a_statement_with_a_password_that_fails(
    tmp_path: Path, postgres_database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason of a failed node is shown to many: the engine may quote what it was given."""
    database = Database.in_postgres(postgres_database)
    query = f"SELECT ('postgresql://u:{SECRET}@h/d password={SECRET}')::INT AS n"
    project = Project(tmp_path, database, {"mart.a": f"kind FULL\n---\n{query}"})
    run = project.run(NOW, plan_mode="auto")
    assert run.outcome("mart.a").value == "failed"  # type: ignore[union-attr]
    assert "invalid input syntax" in run.reason("mart.a")
    assert SECRET not in run.reason("mart.a")
