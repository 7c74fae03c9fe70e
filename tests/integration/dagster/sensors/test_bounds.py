"""A tick and an evaluation of the sensor ask databases a number of times that does not depend on
how many nodes and runs there are, and import no framework."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import dagster as dg
import pytest

from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.schedules.launching import Launching
from dagster_transform.planning.job_groups.values import JobGroup
from tests.support.many_nodes import looked, situation, ticked
from tests.support.queries import statements


@pytest.mark.parametrize(("ask", "most"), [(ticked, 12), (looked, 14)])
def test_the_number_of_queries(
    tmp_path: Path, ask: Callable[[dg.DagsterInstance, Launching, JobGroup], object], most: int
) -> None:
    counts = []
    for nodes, runs in ((8, 1), (400, 10), (1000, 50)):
        folder = tmp_path / f"{nodes}"
        (folder / "home").mkdir(parents=True)
        with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
            launching, daily = situation(instance, folder, nodes, runs)
            ask(instance, launching, daily)  # makes what is made once
            open_claims(instance, launching.config)
            began = process_time()
            with statements() as found:
                ask(instance, launching, daily)
            print(nodes, runs, len(found), f"{process_time() - began:.3f} s")
            counts.append(len(found))
    assert max(counts) <= most, found
    assert counts[1] == counts[2]


MODULES = "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


def test_neither_imports_a_framework(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "import dagster_transform.dagster.schedules.ticks\n"
        "import dagster_transform.dagster.sensors.evaluation\n" + MODULES
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(json.loads(done.stdout)) & {"sqlmesh", "sqlglot", "dbt", "pandas", "duckdb"}
