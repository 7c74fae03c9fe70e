"""The warm dbt process: runs' dbt processes are forks of it, and do what new ones would do."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dagster_transform import dbt
from dagster_transform.dbt.command_line import WARM_PROCESS
from dagster_transform.dbt.runs import warm
from dagster_transform.planning import Outcome
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

FILES = {
    "models/one.sql": """
        {{ config(materialized='table') }}
        select '{{ env_var("OF_THE_RUN", "nobody") }}' as said,
               '{{ invocation_id }}' as invocation, '{{ run_started_at }}' as began
    """,
    "models/slow.sql": """
        {{ config(materialized='table') }}
        select sum(a.range * b.range) as n from range(1000000) a, range(1000000) b
    """,
}


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    made = DbtProject(tmp_path / "d", Database.in_file(tmp_path / "w.duckdb"), FILES)
    made.read()
    return made


@dataclass
class Warm:
    """The warm process of this test's process."""

    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def forks(self) -> list[int]:
        return [each.pid for each in psutil.Process(self.process.pid).children()]


@pytest.fixture
def warm_process(project: DbtProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warm]:
    kept: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(warm, "_kept", kept)
    monkeypatch.setenv(WARM_PROCESS, "")
    assert dbt.start_warm_process([project.artifacts])
    assert dbt.start_warm_process([project.artifacts]), "it is there"
    [process] = kept
    found = Warm(process, Path(os.environ[WARM_PROCESS]))
    until(lambda: found.socket.exists() or process.poll() is not None, "it to be there")
    assert process.poll() is None
    yield found
    assert process.stdin is not None
    process.stdin.close()  # as the end of the code server would
    process.wait(30)


def said(project: DbtProject) -> tuple[str, str, str]:
    ((said, invocation, began),) = project.database.rows(
        "SELECT said, invocation, began FROM main.one"
    )
    return str(said), str(invocation), str(began)


def test_a_run_has_a_fork_which_is_as_new(
    project: DbtProject, warm_process: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for value in ("first", "second"):
        monkeypatch.setenv("OF_THE_RUN", value)
        run = DbtRun(project, ["one"])
        run.go()
        assert run.told() == {"one": "built"}
        assert psutil.pid_exists(run.pid) is False
        found.append((run.pid, *said(project)))
    (_, *first), (_, *second) = found
    assert [first[0], second[0]] == ["first", "second"], "the environment is the run's"
    assert first[1] != second[1], "so is the invocation"
    assert first[2] < second[2]
    assert warm_process.forks == []


def test_the_fork_is_the_warm_process_s(project: DbtProject, warm_process: Warm) -> None:
    spare = dbt.spare_process(project.artifacts)
    assert spare is not None
    assert spare.pid is not None
    assert warm_process.forks == [spare.pid]
    assert os.getpgid(spare.pid) == spare.pid, "it is killed with all that it has started"
    run = DbtRun(project, ["one"], spare=spare)
    assert run.pid in warm_process.forks
    run.go()
    assert run.told() == {"one": "built"}


def test_only_this_user_reaches_it(warm_process: Warm) -> None:
    for path, mode in ((warm_process.socket, 0o600), (warm_process.socket.parent, 0o700)):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (mode, os.getuid())


def test_what_has_changed_since_is_read_anew(project: DbtProject, warm_process: Warm) -> None:
    for number in (1, 2):
        project.write({"models/one.sql": FILES["models/one.sql"].replace("nobody", f"n{number}")})
        if number == 2:
            project.read()  # as `prepare` does: the warm process reads it again, sooner or later
        run = DbtRun(project, ["one"], graph=graph_of(project))
        assert run.pid in warm_process.forks
        run.go()
        assert said(project)[0] == f"n{number}"


def reason_of_killed(run: DbtRun) -> str:
    """Kill the process of a run that builds; what is said of the node."""
    reports = run.start("slow")
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: reports, "the report")
    run.project_run.close(completed=False)
    [report] = reports
    assert report.outcome is Outcome.FAILED
    return report.reason


def test_a_fork_that_is_killed_is_told_as_any_process(
    project: DbtProject, warm_process: Warm
) -> None:
    run = DbtRun(project, ["slow"]).open()
    assert run.pid in warm_process.forks
    assert "dbt's process was killed by SIGKILL, not by this run" in reason_of_killed(run)
    assert not alive(run.pid)


def test_a_run_goes_on_when_the_warm_process_is_killed(
    project: DbtProject, warm_process: Warm
) -> None:
    run = DbtRun(project, ["one"])
    assert run.pid in warm_process.forks
    warm_process.process.kill()
    warm_process.process.wait()
    run.go()
    assert run.told() == {"one": "built"}
    until(lambda: not alive(run.pid), "its end")
    after = DbtRun(project, ["one"])
    after.go()
    assert after.told() == {"one": "built"}, "in a process of its own"


def test_a_fork_that_is_killed_after_the_warm_process(
    project: DbtProject, warm_process: Warm
) -> None:
    run = DbtRun(project, ["slow"]).open()
    other = dbt.spare_process(project.artifacts)  # which must not keep what tells the run
    assert other is not None
    assert {run.pid, other.pid} == set(warm_process.forks)
    warm_process.process.kill()
    warm_process.process.wait()
    assert "the warm one that it was a fork of can't say how" in reason_of_killed(run)
    other.dismiss()


def test_a_run_ends_where_the_warm_process_does_nothing(
    project: DbtProject, warm_process: Warm
) -> None:
    run = DbtRun(project, ["one"])
    assert run.pid in warm_process.forks
    os.kill(warm_process.process.pid, signal.SIGSTOP)
    try:
        run.go()
        assert run.told() == {"one": "built"}
    finally:
        os.kill(warm_process.process.pid, signal.SIGCONT)


def test_it_ends_with_its_code_server_and_waits_for_its_forks(
    project: DbtProject, warm_process: Warm
) -> None:
    run = DbtRun(project, ["one"])
    assert warm_process.process.stdin is not None
    warm_process.process.stdin.close()
    until(lambda: not warm_process.socket.parent.exists(), "it to accept no more")
    assert warm_process.process.poll() is None
    run.go()
    assert run.told() == {"one": "built"}
    assert warm_process.process.wait(30) == 0


@pytest.mark.parametrize("variable", ["PYTHONOPTIMIZE", "LD_LIBRARY_PATH"])
def test_what_is_read_once_when_a_process_starts_needs_a_new_one(
    project: DbtProject, warm_process: Warm, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    run = DbtRun(project, ["one"])
    assert run.pid not in warm_process.forks
    run.go()
    assert run.told() == {"one": "built"}


def test_who_does_not_ask_for_a_fork_does_no_harm(project: DbtProject, warm_process: Warm) -> None:
    for text in (b"", b"hello\n", json.dumps({"folder": "/"}).encode() + b"\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(warm_process.socket))
            connection.sendall(text)
    until(lambda: warm_process.forks == [], "their end")
    run = DbtRun(project, ["one"])
    assert run.pid in warm_process.forks
    run.close(completed=False)


SHORT = """
import sys
from pathlib import Path
from dagster_transform.dbt.child import warm

full = Path(sys.argv[3])
warm.memory_in_use = lambda: 0.9 if full.exists() else 0.5
warm._EVERY = 0.1
warm.main(sys.argv[1], [Path(sys.argv[2])])
"""


def test_it_ends_where_memory_becomes_short(project: DbtProject, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    address, full = tmp_path / "s" / "dbt", tmp_path / "full"
    parsed = project.artifacts / "partial_parse.msgpack"
    command = [sys.executable, "-c", SHORT, str(address), str(parsed), str(full)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        until(address.exists, "it to be there")
        full.touch()
        assert process.wait(30) == 0
    assert not address.exists()
