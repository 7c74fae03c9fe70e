"""The projects that pages of the documentation work in: each is prepared once, and copied into the
folder of a page."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support.folders import REPOSITORY

PROJECTS = REPOSITORY / "tests" / "docs" / "projects"
_DEFINITIONS = """\
import dagster as dg
from dagster_transform import build_transform_definitions

defs = dg.Definitions.merge(build_transform_definitions("transform.yaml"))
"""
_DAGSTER = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
# What is done to a project once, so that its tables and its graph files are there.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "both": (
        "cd dbt_project && dbt --quiet build",
        "cd sqlmesh_project && sqlmesh plan prod --auto-apply --no-prompts",
        "dagster-transform prepare",
    ),
}


@cache
def prepared_project(name: str) -> Path:
    """The folder of a prepared project; nobody may change it. `both` is planned and prepared,
    `unwritten` has the same projects and nothing of ours.

    Raises:
        AssertionError: It can't be prepared.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"dt-docs-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if name == "unwritten":
        shutil.copytree(prepared_project("both"), folder, dirs_exist_ok=True)
        for ours in ("transform.yaml", "definitions.py"):
            (folder / ours).unlink()
        shutil.rmtree(folder / ".dagster_transform")
        return folder
    shutil.copytree(PROJECTS / name, folder, dirs_exist_ok=True)
    (folder / "definitions.py").write_text(_DEFINITIONS, encoding="utf-8")
    make_home(folder)
    for step in _STEPS[name]:
        done = run(step, folder)
        assert done.returncode == 0, f"{step}: {done.stdout}"
    return folder


def make_home(folder: Path) -> None:
    """A Dagster home in a folder, that asks nobody anything."""
    home = folder / ".dagster_home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(_DAGSTER, encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    """Of what is run for a page in its folder: our commands first, nothing of the person's."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "DBT", "SQLMESH"))}
    return {
        **ours,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # As `pip install -e .` makes it be, which a page with a pyproject.toml has.
        "PYTHONPATH": str(folder) if (folder / "pyproject.toml").exists() else "",
        "DAGSTER_HOME": str(folder / ".dagster_home"),
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
        "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MAX_FORK_WORKERS": "1",
    }


def run(script: str, folder: Path, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    """A shell script in a page's folder; both of its outputs are one."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
    )  # fmt: skip
