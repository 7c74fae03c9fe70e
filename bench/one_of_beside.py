"""one-of-beside: one due SQLMesh model of a thousand, beside other integrations."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import one_of, peer_definitions
from bench.measure import Result, Side
from bench.peers import DAGSTER_SQLMESH, DG_SQLMESH
from bench.project import DATABASE, Prepared, environment, prepare
from bench.stored import stored_of

NAME = "one-of-beside"
ABOUT = "Build one due SQLMesh model of 1,000, beside other integrations"
_PEERS = {
    "dagster_sqlmesh": (DAGSTER_SQLMESH, peer_definitions.DAGSTER_SQLMESH),
    "dg_sqlmesh": (DG_SQLMESH, peer_definitions.DG_SQLMESH),
}


def prepared(cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
    """The planned project, with a copy for each peer that can be installed."""
    project = prepare(cache, count, say)
    for name, (peer, definitions) in _PEERS.items():
        folder = project.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        if peer.installed(say):
            ignored = shutil.ignore_patterns(DATABASE)
            shutil.copytree(project.theirs / "project", folder / "project", ignore=ignored)
            (folder / "definitions.py").write_text(definitions, encoding="utf-8")
            home = folder / "dagster_home"
            home.mkdir()
            (home / "dagster.yaml").write_text(one_of.HOME, encoding="utf-8")
    return project


def compare(project: Prepared) -> Result:
    """The sides of one-of-1000, and the same asset materialised with each peer.

    After each run the state has the model's day and no other one.
    """
    result = one_of.compare(project)
    sides = list(result.sides)
    for name, (peer, _) in _PEERS.items():
        folder = project.folder / name
        if folder.exists():
            key = one_of.key_of(project)
            command = [peer.script("dagster"), "asset", "materialize", "--select", f"key:{key}"]
            env = environment(DAGSTER_HOME=str(folder / "dagster_home"))
            side = one_of.side_of(project, name, [*command, "-f", "definitions.py"], env)
            after = _counted(side, folder / "dagster_home")
            sides.append(replace(side, label=peer.name, versions=peer.versions(), after=after))
    return Result(NAME, ABOUT, sides, project.facts)


def _counted(side: Side, home: Path) -> Callable[[float, str], dict[str, Any]]:
    """What is looked at after a run, and what it has stored in Dagster."""

    def after(began: float, output: str) -> dict[str, Any]:
        return side.after(began, output) | stored_of(home, began, output).facts()

    return after
