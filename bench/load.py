"""load-1000: from the start of a process to the snapshot of the repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.measure import Result, Side
from bench.peers import Peer
from bench.project import ROOT, Prepared, environment, run

NAME = "load-1000"
ABOUT = "Load 1,000 models with 1,000 checks, as a code server does"


def compare(project: Prepared) -> Result:
    """Our definitions, from the graph file, against the same assets in bare Dagster."""
    ours, bare = project.ours / "definitions.py", project.bare
    run([sys.executable, "-m", "bench.write_bare", str(ours), str(bare)], ROOT)
    _same_specs(ours, bare)
    return Result(
        NAME,
        ABOUT,
        [side_of("ours", "dagster-transform", ours), side_of("theirs", "bare Dagster", bare)],
        {**project.facts, "bytes_of_graph_file": _graph_file(project).stat().st_size},
    )


def side_of(name: str, label: str, file: Path, peer: Peer | None = None) -> Side:
    """Loading a definitions file; a peer's in its environment, and it may import its framework."""

    def after(began: float, output: str) -> dict[str, Any]:
        found = json.loads(output.splitlines()[-1])
        if found["frameworks"] and peer is None:
            raise RuntimeError(f"{label} imported {found['frameworks']} while it was loaded")
        phases: dict[str, float] = {}
        for phase, moment in found["moments"].items():
            phases[phase] = round(moment - began, 3)
            began = moment
        kept = {k: found[k] for k in ("cpu", "modules", "assets", "checks")}
        return {**kept, "wall": sum(phases.values()), "phases": phases}

    python = peer.script("python") if peer else sys.executable
    command = [python, "-m", "bench.load_worker", str(file)]
    versions = peer.versions() if peer else {}
    env = peer.environment() if peer else environment()
    return Side(name, label, command, ROOT, env, lambda: None, after, versions=versions)


def _same_specs(ours: Path, bare: Path) -> None:
    """All nodes and checks of both, as Dagster stores them, are equal."""
    written = [file.with_suffix(".specs") for file in (ours, bare)]
    for file, target in zip((ours, bare), written, strict=True):
        run([sys.executable, "-m", "bench.load_worker", str(file), str(target)], ROOT)
    lines = [file.read_text(encoding="utf-8").splitlines() for file in written]
    for a, b in zip(*lines, strict=True):
        if a != b:
            raise RuntimeError(f"bare Dagster would load something else:\n{a}\n{b}")


def _graph_file(project: Prepared) -> Path:
    return next((project.ours / ".dagster_transform").glob("*.graph.json"))
