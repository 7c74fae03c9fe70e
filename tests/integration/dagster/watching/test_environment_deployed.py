"""The environment sensor in a deployment: webserver, daemon and code server, a process each."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import LOCATION, Transform
from tests.support.waiting import until
from tests.support.watching import ADDED, metadata, shell, told, watched

MINUTES = 180.0
ASSETS = "{ assetNodes { assetKey { path } assetMaterializations(limit: 9) { timestamp } } }"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def process(transform: Transform, name: str, command: Sequence[str]) -> Iterator[None]:
    with open(transform.folder / f"{name}.log", "wb") as log:
        found = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=transform.folder, stdout=log,
            stderr=subprocess.STDOUT, env=transform.environment(), start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        found.terminate()
        with suppress(subprocess.TimeoutExpired):
            found.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGKILL)
        found.wait()


def ask(url: str, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(
        f"{url}/graphql", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def shown(url: str) -> dict[str, int]:
    """The assets that the UI shows, and how often each was materialised."""
    with suppress(OSError):
        return {
            "/".join(node["assetKey"]["path"][1:]): len(node["assetMaterializations"])
            for node in ask(url, ASSETS)["assetNodes"]
        }
    return {}


@pytest.mark.long
@pytest.mark.postgres
def test_a_plan_in_a_shell_shows_its_model_and_a_run_its_builds_once(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    code, web = free_port(), free_port()
    url = f"http://127.0.0.1:{web}"
    transform = watched(tmp_path, Database.in_postgres(postgres_database), webserver=url)
    transform.configure({"webserver": url}, watch={"interval": 5})
    project = transform.projects[0]
    workspace = tmp_path / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": code, "location_name": LOCATION}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), "utf-8")
    files = ["-f", transform.module.name, "-a", "defs", "--location-name", LOCATION]
    instance = transform.instance  # made here: three processes at once would spoil Dagster's SQLite
    instance.all_instigator_state()
    with ExitStack() as stack:
        for name, command in {
            "code": ["dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(code), *files],
            "web": ["dagster_webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(web)],
            "daemon": ["dagster._daemon", "run", "-w", "workspace.yaml"],
        }.items():
            stack.enter_context(process(transform, name, command))
        first = {"mart/days": 1, "mart/last": 1}
        until(lambda: shown(url) == first, "what the plan has built", MINUTES)
        project.model("mart.added", ADDED)
        shell(project, "plan", "--auto-apply", "--no-prompts")
        until(lambda: shown(url).get("mart/added") == 1, "the new model in the UI", MINUTES)
        began, ended = shell(project, "run")
        last = {"mart/days": 2, "mart/last": 2, "mart/added": 2}
        until(lambda: shown(url) == last, "what the run has built", MINUTES)
        now = datetime.now(timezone.utc).timestamp()
        (state,) = [
            each for each in instance.all_instigator_state()
            if each.instigator_name == "p_environment_sensor"
        ]  # fmt: skip

        def looked() -> int:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=now)
            return len([tick for tick in ticks if tick.is_completed])

        until(lambda: looked() >= 3, "three more evaluations", MINUTES)
        assert shown(url) == last
        entry = told(transform, transform.key("mart.days").path)[-1]
        assert began <= metadata(entry)["built_at"] <= ended
    transform.close()
