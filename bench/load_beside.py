"""load-beside-sqlmesh, load-beside-dbt: loading the models of a project, beside other
integrations."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import dbt_project, peer_definitions, project
from bench.load import side_of
from bench.measure import Result, Side
from bench.peers import DAGSTER_DBT, DAGSTER_SQLMESH, DG_SQLMESH, Peer
from bench.project import ROOT, run

_DEFINITIONS = {
    DAGSTER_SQLMESH: peer_definitions.DAGSTER_SQLMESH,
    DG_SQLMESH: peer_definitions.DG_SQLMESH,
    DAGSTER_DBT: peer_definitions.DAGSTER_DBT,
}


@dataclass(frozen=True)
class Prepared:
    """Where our definitions are, and each peer's; and what to write beside results."""

    ours: Path
    beside: Mapping[Peer, Path]
    facts: Mapping[str, object]


@dataclass(frozen=True)
class LoadBeside:
    """One such benchmark.

    Attributes:
        NAME: Its name.
        framework: SQLMesh or dbt.
        peers: Who does it, too.
    """

    NAME: str
    framework: str
    peers: Sequence[Peer]

    @property
    def ABOUT(self) -> str:  # noqa: N802 - as a module has it
        return f"Load 1,000 {self.framework} models with 1,000 checks, beside other integrations"

    def prepared(self, cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
        """The project, planned or parsed, with a copy for each peer that can be installed."""
        made: Any
        if self.framework == "dbt":
            tests = dbt_project.one_test_each(project.make_models(count))
            made = dbt_project.prepare(cache, count, _output, say, tests=tests)
            source = made.theirs
        else:
            made = project.prepare(cache, count, say)
            source = made.theirs / "project"
        beside: dict[Peer, Path] = {}
        for peer in self.peers:
            if peer.installed(say):
                folder = made.folder / f"load_{peer.name}"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(source, folder / "project")
                beside[peer] = folder / "definitions.py"
                beside[peer].write_text(_DEFINITIONS[peer], encoding="utf-8")
                if self.framework == "dbt":
                    say(f"Parsing it for {peer.name}")
                    command = [peer.script("dbt"), "parse", "--profiles-dir", "."]
                    run(command, folder / "project")
        return Prepared(made.ours / "definitions.py", beside, made.facts)

    def compare(self, found: Prepared) -> Result:
        """Definitions of ours, the same in bare Dagster, and those of each peer, as a code server
        loads them.

        All have an asset for each model; not all have checks.
        """
        models = int(str(found.facts["models"]))
        bare = found.ours.with_name("bare_load.py")
        run([sys.executable, "-m", "bench.write_bare", str(found.ours), str(bare)], ROOT)
        sides = [
            _with(side_of("ours", "dagster-transform", found.ours), models, models),
            _with(side_of("theirs", "bare Dagster", bare), models, models),
            *(
                _with(side_of(peer.name, peer.name, file, peer), models)
                for peer, file in found.beside.items()
            ),
        ]
        return Result(self.NAME, self.ABOUT, sides, found.facts)


def _with(side: Side, models: int, checks: int | None = None) -> Side:
    """A side that has to load so many."""

    def after(began: float, output: str) -> dict[str, Any]:
        found = side.after(began, output)
        if found["assets"] != models or checks not in (None, found["checks"]):
            raise RuntimeError(f"{side.label}: {found['assets']} assets, {found['checks']} checks")
        return found

    return replace(side, after=after)


def _output(_side: str) -> Mapping[str, Any]:
    return {"type": "duckdb", "path": "warehouse.duckdb", "threads": 4}


SQLMESH = LoadBeside("load-beside-sqlmesh", "SQLMesh", (DAGSTER_SQLMESH, DG_SQLMESH))
DBT = LoadBeside("load-beside-dbt", "dbt", (DAGSTER_DBT,))
