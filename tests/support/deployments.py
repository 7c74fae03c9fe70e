"""A deployment of a small SQLMesh project on PostgreSQL, and what tests ask of it: through GraphQL,
as people do, and in its databases."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil

from example_project.deployment.local import Code, LocalDeployment
from example_project.deployment.postgres import Postgres
from example_project.deployment.services import run_workers
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

REPOSITORY = "__repository__"
LOCATION = "deployed"
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
_RUNS = """
query Runs($cursor: String) { runsOrError(limit: 200, cursor: $cursor) {
  ... on PythonError { message }
  ... on Runs { results { runId jobName status creationTime startTime endTime tags { key value } } }
} }
"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message }
} }
"""
_STOP = """
mutation Stop($id: String!) { stopRunningSchedule(id: $id) {
  __typename ... on PythonError { message } } }
"""
_SCHEDULES = """
{ schedulesOrError(repositorySelector: {repositoryLocationName: "deployed", repositoryName:
  "__repository__"}) { ... on PythonError { message } ... on Schedules { results {
  name id scheduleState { id selectorId status ticks(limit: 200) { timestamp status skipReason
  error { message } runIds } } } } } }
"""


class Deployed:
    """A transform in a deployment.

    Attributes:
        transform: Its files.
        deployment: Its processes.
        start: From when on its models have data.
        warehouse: Where its models' tables and SQLMesh's state are.
        storage: Where Dagster's storage and the claims are.
    """

    def __init__(
        self,
        folder: Path,
        server: PostgresDatabase,
        models: Mapping[str, str],
        job_groups: str,
        *,
        settings: Mapping[str, Any] | None = None,
        dagster: Mapping[str, Any] | None = None,
        concurrent_tasks: int = 4,
    ) -> None:
        postgres = Postgres(server.host, server.port, server.user)
        for name in ("warehouse", "dagster"):
            postgres.make_database(name)
        self.warehouse = Database.in_postgres(
            replace(server, database="warehouse"), concurrent_tasks
        )
        self.storage = Database.in_postgres(replace(server, database="dagster"))
        yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        self.start = yesterday.replace(hour=0, minute=0, second=0, microsecond=0)
        self.project = Project(folder / "p", self.warehouse, models, start=f"{self.start:%Y-%m-%d}")
        self.transform = Transform(folder, [self.project], settings=settings)
        (folder / "job_groups.yaml").write_text(dedent(job_groups).lstrip(), encoding="utf-8")
        self.deployment = LocalDeployment(
            folder / "deployment",
            Code(
                ("-f", str(self.transform.module), "-a", "defs"),
                folder,
                LOCATION,
                transforms=(str(folder),),
            ),
            port=free_port(),
            code_port=free_port(),
            settings=dagster,
            postgres=postgres,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Plan the project, and start the deployment."""
        self.project.plan_natively(datetime.now(timezone.utc))
        with self.deployment.running():
            yield

    # -- Dagster, as people see it ---------------------------------------------------------------

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first, their tags as a mapping."""
        found: list[dict[str, Any]] = []
        while True:
            cursor = found[-1]["runId"] if found else None
            page = self.deployment.graphql(_RUNS, {"cursor": cursor})["runsOrError"]["results"]
            found += page
            if len(page) < 200:
                break
        for run in found:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
        return list(reversed(found))

    def launch(self, job: str) -> str:
        """Launch a job as the UI does; the run's id."""
        selector = {
            "repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job,
        }  # fmt: skip
        params = {"selector": selector, "runConfigData": {}, "mode": "default"}
        found = self.deployment.graphql(_LAUNCH, {"params": params})["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def schedules(self) -> dict[str, dict[str, Any]]:
        """The schedules of job groups, by name, with their ticks."""
        found = self.deployment.graphql(_SCHEDULES)["schedulesOrError"]["results"]
        return {
            each["name"]: each for each in found if not each["name"].endswith("janitor_schedule")
        }

    def stop_schedules(self) -> None:
        """Switch them off; what they have launched goes on."""
        for schedule in self.schedules().values():
            done = self.deployment.graphql(_STOP, {"id": schedule["scheduleState"]["id"]})
            assert "message" not in done["stopRunningSchedule"], done

    # -- its databases ---------------------------------------------------------------------------

    def held(self) -> list[tuple[Any, ...]]:
        """What is claimed, and by which run."""
        return self.storage.rows(
            "SELECT resource_key, run_id FROM dagster_transform_lease "
            "JOIN dagster_transform_batch USING (claim_id)"
        )

    def pending(self) -> list[tuple[Any, ...]]:
        """What waits to be launched, or was launched and is not over yet."""
        return self.storage.rows("SELECT * FROM dagster_transform_pending")

    # -- its processes ---------------------------------------------------------------------------

    def run_workers(self) -> list[psutil.Process]:
        """The processes of runs."""
        return run_workers(self.deployment.services["code_server"])

    def kill(self, name: str) -> None:
        """Kill a service's own process; what it has started stays."""
        with suppress(ProcessLookupError):
            os.kill(self.deployment.services[name].pid, signal.SIGKILL)

    def kill_whole(self, name: str) -> None:
        """Kill a service and all that it has started, runs too, as a container's end does."""
        service = self.deployment.services[name]
        every = service.descendants()
        self.kill(name)
        for process in every:
            with suppress(psutil.Error):
                process.kill()


def free_port() -> int:
    """A port that nobody listens at now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Until something is so.

    Raises:
        AssertionError: It is not, after so many seconds.
    """
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not so after {seconds:.0f} s: {what}"
        time.sleep(1)
