"""dbt's Python models that exit, hang or start processes of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic

import pytest

from dagster_transform.planning import Outcome
from tests.support.dbt_faults import AT_ONCE, TABLE, duck
from tests.support.dbt_runs import DbtRun
from tests.support.processes import alive
from tests.support.waiting import until

pytestmark = pytest.mark.crash


# -- Python models ----------------------------------------------------------------------------


PYTHON = "def model(dbt, session):\n    dbt.config(materialized='table')\n"


def test_a_python_model_that_exits_is_one_that_failed(tmp_path: Path) -> None:
    """dbt itself hangs on it."""
    project = duck(
        tmp_path,
        exits=PYTHON + "    import sys\n    sys.exit('enough')\n    return 1",
        below=TABLE + "SELECT * FROM {{ ref('exits') }}",
        other=PYTHON + "    print('this is no message')\n    return session.sql('select 1 as n')",
    )
    run = DbtRun(project, threads=1)
    result = run.go()
    assert run.told() == {"exits": "failed", "below": "blocked", "other": "built"}
    assert "SystemExit: enough" in result.reason("exits")


def test_a_python_model_that_hears_no_cancel_ends_with_the_process_when_it_is_alone(
    tmp_path: Path,
) -> None:
    touch = "    import pathlib, time\n    pathlib.Path(r'{path}').touch()\n"
    begun = tmp_path / "begun"
    project = duck(
        tmp_path,
        stuck=PYTHON + touch.format(path=begun) + "    time.sleep(600)\n    return 1",
        slow=TABLE + "SELECT count(*) AS n FROM range(150000) AS a, range(150000) AS b"
        " WHERE hash(a.range, b.range) % 7 = 3",
    )
    run = DbtRun(project, grace=1.0, threads=2).open()
    stuck, slow = run.start("stuck"), run.start("slow")
    until(begun.exists, "the Python model")
    run.project_run.cancel(run.result.names["stuck"])
    until_cancelled = monotonic() + 2.5
    while monotonic() < until_cancelled:
        assert alive(run.pid), "another node is at work"
    assert not stuck
    run.project_run.cancel(run.result.names["slow"])
    until(lambda: stuck and slow, "both reports")
    assert (stuck[0].outcome, slow[0].outcome) == (Outcome.CANCELLED, Outcome.CANCELLED)
    assert not alive(run.pid)
    run.close(completed=False)
    assert any("can't be cancelled" in text for _, text in run.logs)


def test_a_cancel_before_the_query_ends_the_query(tmp_path: Path) -> None:
    """While dbt compiles a model there is no statement to be ended; the one that follows is."""
    project = duck(
        tmp_path,
        slow=TABLE
        + "{% if execute %}{{ log('compiling', info=true) }}"
        + "{% for i in range(3000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}{% endif %}"
        "SELECT count(*) AS n FROM range(200000) AS a, range(200000) AS b"
        " WHERE hash(a.range, b.range) % 7 = 3",
    )
    run = DbtRun(project).open()
    slow = run.start("slow")
    until(lambda: ("info", "compiling") in run.logs, "the model to be compiled")
    run.project_run.cancel(run.result.names["slow"])
    assert not slow
    until(lambda: slow, "the report", AT_ONCE * 2)
    assert slow[0].outcome is Outcome.CANCELLED
    run.close(completed=False)


def test_what_a_python_model_has_started_ends_with_the_killed_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    project = duck(
        tmp_path,
        starts=PYTHON + "    import pathlib, subprocess\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        f"    pathlib.Path(r'{note}').write_text(str(child.pid))\n"
        "    child.wait()\n    return 1",
    )
    run = DbtRun(project).open()
    starts = run.start("starts")
    until(lambda: note.exists() and note.read_text(), "the model's own process")
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: starts, "the report")
    until(lambda: not alive(int(note.read_text())), "the end of the model's own process")
    run.close(completed=False)


@pytest.mark.parametrize("stage", ["loading", "loaded"])
def test_a_run_that_ends_before_it_began_leaves_nothing(tmp_path: Path, stage: str) -> None:
    project = duck(tmp_path, one=TABLE + "SELECT 1 AS n")
    run = DbtRun(project)
    if stage == "loaded":
        assert run.project_run.capacity == 4
    began = monotonic()
    run.project_run.close(completed=False)
    assert monotonic() - began < AT_ONCE
    assert not alive(run.pid)
    assert not run.folder.exists()
