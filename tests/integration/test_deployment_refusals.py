"""What `make deploy-local` says where it can't start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from example_project.deployment import local
from example_project.deployment.errors import DeploymentError
from example_project.deployment.local import AlreadyRunning, Code, LocalDeployment
from example_project.deployment.services import began_at
from tests.support.deployments import free_port
from tests.support.processes import alive


def deployment(folder: Path, port: int) -> LocalDeployment:
    return LocalDeployment(folder, Code((), folder, "x"), port=port, code_port=free_port())


def test_a_port_in_use_is_told_with_who_uses_it(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "example_project.deployment",
             "--folder", str(tmp_path), "--port", str(port)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"Port {port}, which the webserver is to listen at, is in use by process" in done.stderr
    assert "choose another one: --port 3001" in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_second_start_says_that_it_runs(tmp_path: Path) -> None:
    first, second = (deployment(tmp_path, free_port()) for _ in range(2))
    with (
        first._lock(),
        pytest.raises(AlreadyRunning, match=f"runs already: UI at {first.url}"),
        second.running(),
    ):
        pass
    with second._lock():  # the first one has gone
        pass


def test_missing_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "NEEDED", ("dagster", "no_such_package"))
    with (
        pytest.raises(DeploymentError, match=r"missing: no_such_package\.\nmake install brings"),
        deployment(tmp_path, free_port()).running(),
    ):
        pass


def test_what_an_earlier_start_has_left_behind_is_ended(tmp_path: Path) -> None:
    earlier, later = (deployment(tmp_path, free_port()) for _ in range(2))
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                            start_new_session=True)  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                             start_new_session=True)  # fmt: skip
    try:
        earlier.services["daemon"] = local.Service(
            "daemon", (), tmp_path, {}, tmp_path / "log", left, [left.pid]
        )
        earlier._remember()
        said: list[str] = []
        later._end_leftovers(said.append)
        assert not alive(left.pid)
        left.wait(5)
        assert said == ["ending 1 processes that the last start has left behind ..."]
        # A number that another process has got since is not one of its.
        began = began_at(other.pid)
        assert began is not None
        (tmp_path / "processes.json").write_text(
            json.dumps({other.pid: began - 60}), encoding="utf-8"
        )
        later._end_leftovers(said.append)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
