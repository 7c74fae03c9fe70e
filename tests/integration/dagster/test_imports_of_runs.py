"""What the process of a run imports: no more than what its projects need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

_RUN = """
import atexit, json, sys

atexit.register(lambda: open("modules.json", "w").write(json.dumps(sorted(sys.modules))))
sys.argv[1:] = ["asset", "materialize", "--select", "*", "-f", {file!r}, "-a", "defs"]
from dagster._cli import main

main()
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_file(tmp_path / "w.duckdb")


OURS = "dagster_transform."
NOT_OF_A_RUN = (
    "dagster_transform.cli.",
    "dagster_transform.dagster.component",
    "dagster_transform.dagster.doctor",
    "dagster_transform.dbt.child.build",
    "dagster_graphql",
    "dagster_webserver",
    "starlette",
    "uvicorn",
    "IPython",
    "matplotlib",
    "pyarrow",
)


STORAGE = {f"{OURS}dagster._compat_events", f"{OURS}dagster._compat_connections"}
"""What keeps Dagster's storage open."""


def imported(transform: Transform) -> Iterator[str]:
    """Modules of a run's process when it ends."""
    transform.prepare()
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(file=str(transform.module))],
        cwd=transform.folder, env=transform.environment(), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    yield from json.loads((transform.folder / "modules.json").read_text(encoding="utf-8"))


def test_a_run_of_dbt_imports_neither_framework(tmp_path: Path, database: Database) -> None:
    """dbt has a process of its own."""
    DbtProject(tmp_path / "d", database, {"models/m.sql": "select 1 as n"})
    transform = Transform(
        tmp_path, [], further={"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    )
    found = set(imported(transform))
    assert "dagster_transform.dbt.runs.project_run" in found
    assert found >= STORAGE
    tops = {name.partition(".")[0] for name in found}
    assert not tops & {"dbt", "sqlmesh", "sqlglot", "pandas", "numpy", "duckdb"}
    assert not {name for name in found if name.startswith(NOT_OF_A_RUN)}
    assert sum(name.startswith(OURS) for name in found) <= 211


def test_a_run_of_sqlmesh_imports_no_dbt(tmp_path: Path, database: Database) -> None:
    project = Project(tmp_path / "p", database, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    project.plan_natively(utc("2024-03-05 10:30"))
    found = set(imported(Transform(tmp_path, [project])))
    assert {"sqlmesh", "dagster_transform.sqlmesh.runs.promoted_run"} <= found
    assert "dbt" not in {name.partition(".")[0] for name in found}
    assert not {name for name in found if name.startswith(NOT_OF_A_RUN)}
    assert sum(name.startswith(OURS) for name in found) <= 245


def test_dagsters_storage_is_left_alone_where_the_config_says_so(
    tmp_path: Path, database: Database
) -> None:
    DbtProject(tmp_path / "d", database, {"models/m.sql": "select 1 as n"})
    transform = Transform(
        tmp_path,
        [],
        settings={"keep_event_log_open": False},
        further={"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}},
    )
    assert not STORAGE & set(imported(transform))
