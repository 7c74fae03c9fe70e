"""Small dbt projects on real databases, and what tests do with them.

A `DbtProject` is written into a folder of the test, with its dbt_project.yml and profiles.yml.
`read` gives what our package makes of it; `dbt` and `parse` are the real dbt, in a process of its
own, as a user of dbt has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import yaml

from dagster_transform.config import DbtProject as DbtConfig

if TYPE_CHECKING:
    from dagster_transform.graph import Graph, GraphFile
    from tests.support.sqlmesh_projects import Database

NAME = "d"
_CLI = "from dbt.cli.main import cli; cli()"


class DbtProject:
    """A dbt project in a folder.

    Args:
        folder: Where it is written.
        database: Where its relations lie.
        files: Text by path below the folder, dedented: models, seeds, properties...
        name: The project's name in transform.yaml.
        package: Its name in dbt_project.yml.
        schema: The profile's schema.
        threads: The profile's threads.
        project: Further keys of dbt_project.yml.
        profile: Further keys of the profile's output.
        config: Further keys of the project in transform.yaml.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        files: Mapping[str, str] | None = None,
        *,
        name: str = NAME,
        package: str = "shop",
        schema: str = "main",
        threads: int = 4,
        project: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.database = database
        self.name = name
        self.package = package
        self.schema = schema
        folder.mkdir(parents=True, exist_ok=True)
        self.config = DbtConfig(framework="dbt", path=folder, **(config or {}))
        settings = {
            "name": package,
            "version": "1.0",
            "config-version": 2,
            "profile": package,
            "flags": {"send_anonymous_usage_stats": False},
            **(project or {}),
        }
        output = {**profile_of(database), "schema": schema, "threads": threads, **(profile or {})}
        profiles = {package: {"target": "test", "outputs": {"test": output}}}
        self.write(
            {"dbt_project.yml": yaml.safe_dump(settings), "profiles.yml": yaml.safe_dump(profiles)}
        )
        self.write(files or {})

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, dedented."""
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    # -- ours -------------------------------------------------------------------------------------

    @property
    def artifacts(self) -> Path:
        """Where our `prepare` keeps manifest.json and partial_parse.msgpack."""
        return self.folder.parent / ".dagster_transform" / self.name

    def read(self) -> GraphFile:
        """What our package reads, with packages installed and dbt's artifacts kept."""
        from dagster_transform.dbt import install_packages, read_project

        install_packages(self.name, self.config, artifacts=self.artifacts)
        return read_project(
            self.name,
            self.config,
            root=self.folder.parent,
            artifacts=self.artifacts,
            sources={},
        )

    @property
    def graph(self) -> Graph:
        """The graph of the files as they are now."""
        return self.read().graph

    # -- dbt's own --------------------------------------------------------------------------------

    def dbt(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a dbt command in the project's folder; its artifacts go to `target`."""
        done = subprocess.run(
            [sys.executable, "-c", _CLI, "--no-use-colors", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def parse(self) -> dict[str, Any]:
        """The manifest that `dbt parse` writes."""
        self.dbt("parse")
        return self.manifest()

    def manifest(self) -> dict[str, Any]:
        """The manifest of the last dbt command."""
        return self._artifact("manifest.json")

    def run_results(self) -> dict[str, Any]:
        """run_results.json of the last dbt command."""
        return self._artifact("run_results.json")

    def _artifact(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "target" / name).read_bytes())
        return found


def profile_of(database: Database) -> dict[str, Any]:
    """An output of profiles.yml that leads to the database that a SQLMesh project has there."""
    given = database.connection
    if database.dialect == "duckdb":
        return {"type": "duckdb", "path": given["database"]}
    return {
        "type": "postgres",
        "dbname": given["database"],
        **{key: given[key] for key in ("host", "port", "user", "password")},
    }
