"""The private parts of Dagster's code server that dagster_transform/dagster/_compat_warm.py reaches
into: how it starts the processes of runs."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext

from dagster_transform.dagster import _compat_warm
from tests.support import launching
from tests.support.processes import alive
from tests.support.waiting import until

DEFINITIONS = """
import json, os, sys, time
from pathlib import Path
import dagster as dg
from dagster_transform.dagster._compat import executes_a_run
from dagster_transform.dagster._compat_warm import start_runs_with_forkserver

ROOT = Path(__file__).parent
KNOWN = "colorsys" in sys.modules
if not executes_a_run():
    (ROOT / "server.json").write_text(json.dumps(
        [start_runs_with_forkserver(["colorsys", "no_such_module"]), os.getpid()]
    ))

@dg.asset
def quick():
    found = [os.getpid(), os.getppid(), KNOWN, os.getcwd(), os.environ.get("OF_THE_SERVER")]
    (ROOT / "run.json").write_text(json.dumps(found))

@dg.asset
def slow():
    quick()
    time.sleep(60)

defs = dg.Definitions([quick, slow], executor=dg.in_process_executor)
"""


@dataclass
class Server:
    """A code server whose runs are forks."""

    folder: Path
    instance: dg.DagsterInstance
    process: WorkspaceProcessContext

    @property
    def pid(self) -> int:
        began, pid = json.loads((self.folder / "server.json").read_text(encoding="utf-8"))
        assert began
        return int(pid)

    def launch(self, asset: str) -> str:
        context = self.process.create_request_context()
        run = launching.create_run(self.instance, context, {dg.AssetKey(asset)})
        self.instance.launch_run(run.run_id, context)
        return run.run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def wait(self, run_id: str) -> dg.DagsterRunStatus:
        until(lambda: self.instance.get_run_by_id(run_id).is_finished, "the run's end")  # type: ignore[union-attr]
        return self.status(run_id)

    def told(self) -> list[Any]:
        """Of the last run: its process, its parent, and what it knew when definitions loaded."""
        file = self.folder / "run.json"
        until(file.exists, "the run to begin")
        until(lambda: file.read_text(encoding="utf-8").endswith("]"), "what it says")
        found: list[Any] = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        return found


@contextmanager
def code_server(folder: Path) -> Iterator[Server]:
    (folder / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with (
        dg.DagsterInstance.from_config(str(folder)) as instance,
        launching.code_server(instance, folder / "definitions.py", folder) as process,
    ):
        yield Server(folder, instance, process)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


def test_runs_are_forks_of_a_process_that_ends_with_the_code_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "it has it")
    with code_server(tmp_path) as server:
        assert server.wait(server.launch("quick")) is dg.DagsterRunStatus.SUCCESS
        run, parent, known, cwd, variable = server.told()
        assert known, "what was to be imported was there when the run's definitions loaded"
        assert parent not in (server.pid, os.getpid())
        assert psutil.Process(parent).ppid() == server.pid
        assert (cwd, variable) == (str(Path.cwd()), "it has it"), "as the code server"
        until(lambda: not alive(run), "its process to end")
        assert server.wait(server.launch("quick")) is dg.DagsterRunStatus.SUCCESS
        assert server.told()[1] == parent
    until(lambda: not alive(parent), "the warm process to end")


def test_a_run_is_terminated_as_the_ui_does(tmp_path: Path) -> None:
    with code_server(tmp_path) as server:
        run_id = server.launch("slow")
        pid, *_ = server.told()
        assert server.instance.run_launcher.terminate(run_id)
        assert server.wait(run_id) is dg.DagsterRunStatus.CANCELED
        until(lambda: not alive(pid), "its process to end")


def test_a_run_that_is_killed_has_failed(tmp_path: Path) -> None:
    with code_server(tmp_path) as server:
        run_id = server.launch("slow")
        pid, *_ = server.told()
        os.kill(pid, signal.SIGKILL)
        assert server.wait(run_id) is dg.DagsterRunStatus.FAILURE


def test_the_warm_process_is_made_anew_where_it_was_killed(tmp_path: Path) -> None:
    with code_server(tmp_path) as server:
        server.wait(server.launch("quick"))
        parent = server.told()[1]
        os.kill(parent, signal.SIGKILL)
        until(lambda: not alive(parent), "it to be gone")
        assert server.wait(server.launch("quick")) is dg.DagsterRunStatus.SUCCESS
        assert server.told()[1] != parent


def test_the_function_that_begins_a_run_is_where_it_was() -> None:
    """What can't be imported ahead is left out without a word."""
    assert callable(import_module(_compat_warm.BEGINS_RUNS).start_run_in_subprocess)


def test_outside_of_a_code_server_nothing_is_started() -> None:
    assert not _compat_warm.start_runs_with_forkserver(["colorsys"])
