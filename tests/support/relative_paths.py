"""Transforms whose projects have relative paths, and what is done with them from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster._grpc.types import ExecuteRunArgs

from dagster_transform.graph import Graph, read_graph_file
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

ONE_ROW = """
    kind FULL,
    audits (not_null(columns := (n)))
    ---
    SELECT 1 AS n
"""


def all_duckdb_files(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.duckdb"), *Path("/").glob("data/*.duckdb")])


class Located:
    """A transform of one project, and the files that its DuckDB paths mean.

    Attributes:
        transform: The transform.
        root: A folder that everything is below, working directories too.
        files: The files, sorted.
        of_models: The one that the models are built in.
    """

    def __init__(self, transform: Transform, root: Path, files: Sequence[Path]) -> None:
        self.transform = transform
        self.root = root
        self.files = sorted(files)
        self.of_models = files[0]

    @classmethod
    def of_dbt(cls, dbt: DbtProject, folder: Path) -> Located:
        further = {dbt.name: {"framework": "dbt", "path": dbt.folder.name}}
        return cls(Transform(folder, [], further=further), folder.parent, [folder])

    @property
    def project(self) -> Project:
        return self.transform.projects[0]

    def graph(self) -> Graph:
        (path,) = (self.transform.folder / ".dagster_transform").glob("*.graph.json")
        return read_graph_file(path).graph

    def rows(self, relation: str) -> int:
        with duckdb.connect(str(self.of_models)) as connection:
            found = connection.execute(f"SELECT COUNT(*) FROM {relation}").fetchone()
        assert found is not None
        return int(found[0])

    def command(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """`dagster-transform`, from any folder."""
        config = ("--config", str(self.transform.folder))
        return self._python("-m", "dagster_transform.cli", *arguments, *config, cwd=cwd)

    def native(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """`sqlmesh`."""
        done = self._python("-c", "from sqlmesh.cli.main import cli; cli()", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def shell(self, command: str, cwd: Path) -> int:
        """Whatever people paste."""
        scripts = Path(sys.executable).parent
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        environment = self.transform.environment(PATH=path)
        return subprocess.run(command, shell=True, cwd=cwd, env=environment, check=False).returncode

    def run(self, cwd: Path, assets: Sequence[str], checks: Sequence[str] | None = None) -> Story:
        """A run whose process works in any folder."""
        transform = self.transform
        with transform._workspace() as context:
            run = transform._create(context, assets, checks, None, {})
        return self._execute(run, cwd)

    def explain(self, cwd: Path) -> Story:
        return self._job({}, cwd)

    def apply(self, cwd: Path) -> Story:
        return self._job({"apply": True}, cwd)

    def _job(self, config: Mapping[str, Any], cwd: Path) -> Story:
        ops = {"plan_p": {"config": dict(config)}}
        with self.transform._workspace() as context:
            run = self.transform._create(context, None, None, None, {}, job_name="p_plan", ops=ops)
        return self._execute(run, cwd)

    def _execute(self, run: dg.DagsterRun, cwd: Path) -> Story:
        assert run.job_code_origin is not None
        arguments = ExecuteRunArgs(
            run.job_code_origin, run.run_id, self.transform.instance.get_ref()
        )
        packed = dg.serialize_value(arguments)
        self._python("-m", "dagster", "api", "execute_run", packed, cwd=cwd)
        return self.transform.story(run.run_id)

    def _python(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd, env=self.transform.environment(), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip


def _transform(
    folder: Path, gateway: Mapping[str, Any], config: Mapping[str, Any] | None = None
) -> Transform:
    (folder / "p" / "data").mkdir(parents=True)
    database, models = Database({"type": "duckdb"}, "w"), {"mart.a": ONE_ROW}
    gateways = {"gateways": {"main": gateway}, **(config or {})}
    project = Project(folder / "p", database, models, config=gateways)
    return Transform(folder, [project])


def one_file(folder: Path) -> Located:
    """`database`."""
    transform = _transform(folder, {"connection": {"type": "duckdb", "database": "data/w.duckdb"}})
    return Located(transform, folder.parent, [folder / "p" / "data" / "w.duckdb"])


def other_state(folder: Path) -> Located:
    """`database`, and a `state_connection` of its own."""
    transform = _transform(
        folder,
        {
            "connection": {"type": "duckdb", "database": "../w.duckdb"},
            "state_connection": {"type": "duckdb", "database": "./data/state.duckdb"},
        },
    )
    files = [folder / "w.duckdb", folder / "p" / "data" / "state.duckdb"]
    return Located(transform, folder.parent, files)


def several_catalogs(folder: Path) -> Located:
    """`catalogs`, one of them in the long form."""
    catalogs = {"w": "data/w.duckdb", "x": {"type": "duckdb", "path": "data/x.duckdb"}}
    transform = _transform(folder, {"connection": {"type": "duckdb", "catalogs": catalogs}})
    data = folder / "p" / "data"
    return Located(transform, folder.parent, [data / "w.duckdb", data / "x.duckdb"])


def python_config(folder: Path) -> Located:
    """`database` in a config.py."""
    located = one_file(folder)
    (folder / "p" / "config.yaml").unlink()
    (folder / "p" / "config.py").write_text(
        "from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig\n"
        "from sqlmesh.core.config import ModelDefaultsConfig\n"
        "connection = DuckDBConnectionConfig(database='data/w.duckdb')\n"
        "config = Config(gateways={'main': GatewayConfig(connection=connection)},\n"
        "    model_defaults=ModelDefaultsConfig(dialect='duckdb', start='2024-03-01'))\n",
        encoding="utf-8",
    )
    return located
