"""deploy/compose.yaml: its commands, started as processes with its environment beside a real
PostgreSQL; a run is launched through them."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from example_project.deployment.local import Code, LocalDeployment
from example_project.deployment.postgres import Postgres
from example_project.deployment.services import Service
from tests.support.deploy_files import DEPLOY
from tests.support.deployments import OVER, free_port, wait_until
from tests.support.folders import REPOSITORY
from tests.support.postgres import PostgresDatabase

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]

_LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_STATUS = """
query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }
"""


class ComposeDeployment(LocalDeployment):
    """The services of the compose file, with folders and ports of a test in the place of a
    container's. What starts, waits and ends is that of `make deploy-local`."""

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))

    def start(self, name: str) -> Service:
        service = self.compose["services"]["code" if name == "code_server" else name]
        command = [self._here(word) for word in service["command"]]
        command[0] = str(Path(sys.executable).parent / command[0])
        environment = {
            **self.environment(),
            **{k: self._here(v) for k, v in service["environment"].items()},
            "DAGSTER_POSTGRES_URL": self.environment()["DAGSTER_POSTGRES_URL"],
            "FLIGHTS_DUCKDB": str(self.folder / "data" / "flights.duckdb"),
        }
        self.services[name] = Service(
            name, command, self.code.folder, environment, self.logs / f"{name}.log"
        )
        self.services[name].start()
        return self.services[name]

    def _here(self, text: str) -> str:
        known = {
            "/opt/dagster/workspace.yaml": str(self.home / "workspace.yaml"),
            "0.0.0.0": "127.0.0.1",
            "4000": str(self.code_port),
            "3000": str(self.port),
            "code": "127.0.0.1",
            "http://webserver:3000": self.url,
        }
        return known.get(text, text)

    def _write_home(self) -> None:
        self.home.mkdir(exist_ok=True)
        shutil.copy(DEPLOY / "dagster.yaml", self.home)
        workspace = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
        assert "port: 4000" in workspace
        changed = workspace.replace("port: 4000", f"port: {self.code_port}")
        (self.home / "workspace.yaml").write_text(changed, encoding="utf-8")


@pytest.fixture
def deployment(tmp_path: Path, postgres: PostgresDatabase) -> ComposeDeployment:
    ignored = shutil.ignore_patterns("data", ".dagster_transform", "__pycache__", "logs", "target")
    shutil.copytree(REPOSITORY / "example_project", tmp_path / "example_project", ignore=ignored)
    server = Postgres(postgres.host, postgres.port, postgres.user)
    code = Code(
        ("-m", "example_project.definitions"), tmp_path, "example_project",
        transforms=("example_project",),
        environment={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    return ComposeDeployment(
        tmp_path / "deployment", code, port=free_port(), code_port=free_port(), postgres=server,
        database="compose",
    )  # fmt: skip


def test_its_commands_make_a_deployment(deployment: ComposeDeployment) -> None:
    os.makedirs(deployment.folder / "data")
    with deployment.running():
        selector: dict[str, Any] = {
            "repositoryLocationName": "example_project", "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB", "assetSelection": [{"path": ["raw", "airlines"]}],
        }  # fmt: skip
        params = {"selector": selector, "runConfigData": {}, "mode": "default"}
        launched = deployment.graphql(_LAUNCH, {"params": params})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]

        def status() -> str:
            found = deployment.graphql(_STATUS, {"id": run_id})["runOrError"]
            return str(found["status"])

        with suppress(OSError):
            wait_until(lambda: status() in OVER, 150, "the run is over")
        assert status() == "SUCCESS"
