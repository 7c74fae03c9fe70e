"""run-1000, run-100: all models of a planned SQLMesh project are due, and one run builds them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bench.bare_run import bare_side
from bench.measure import Result, Side
from bench.one_of import IGNORE_NO_CRON, days_of_state
from bench.peer_definitions import DAGSTER_SQLMESH as DEFINITIONS_OF_DAGSTER_SQLMESH
from bench.peers import DAGSTER_SQLMESH, Peer
from bench.project import (
    DATABASE,
    DAYS,
    IDS,
    LAST_DAY,
    ROOT,
    Prepared,
    environment,
    make_models,
    prepare,
    run,
    sqlmesh_command,
)  # fmt: skip
from bench.stored import stored_of

_ALL_DUE = "all_due.duckdb"
# dg-sqlmesh starts a process for each model, each of which loads the project: a quarter of an hour.
# In one process 1.10.1 builds the first model, and reports all of them as built.
_PEERS = {"dagster_sqlmesh": (DAGSTER_SQLMESH, DEFINITIONS_OF_DAGSTER_SQLMESH)}
_EVERYTHING = ("asset", "materialize", "--select", "*", "-f", "definitions.py")


@dataclass(frozen=True)
class RunAll:
    """One such benchmark.

    Attributes:
        NAME: Its name.
        models: How many; None: as many as the command line says.
        peers: Whether other integrations do it, too; if not, bare Dagster stores as many events.
    """

    NAME: str
    models: int | None
    peers: bool

    @property
    def ABOUT(self) -> str:  # noqa: N802 - as a module has it
        count = f"{self.models or 1000:,}"
        return f"Build {count} due models with {count} audits in one run, SQLMesh on DuckDB"

    def prepared(self, cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
        """The planned project, with the last day of each model taken out."""
        project = prepare(cache, self.models or count, say)
        if not (project.folder / _ALL_DUE).exists():
            say("Taking the last day of each model out of the tables and the state")
            folder = project.theirs / "project"
            run([sys.executable, "-m", "bench.make_due", str(folder), "*", LAST_DAY], ROOT)
            shutil.move(folder / DATABASE, project.folder / _ALL_DUE)
        for name, (peer, definitions) in _PEERS.items():
            if self.peers and peer.installed(say):
                side = project.folder / name
                shutil.rmtree(side, ignore_errors=True)
                shutil.copytree(project.theirs / "project", side / "project")
                (side / "definitions.py").write_text(definitions, encoding="utf-8")
        return project

    def compare(self, project: Prepared) -> Result:
        """All assets as a tick has them built, against `sqlmesh run`.

        After each run the state has the day of each model, and readers all rows; of ours there is a
        materialisation and a result of the check of each model.
        """
        dagster = str(Path(sys.executable).with_name("dagster"))
        ours = [dagster, *_EVERYTHING, "--config-json", json.dumps(IGNORE_NO_CRON)]
        native = sqlmesh_command(project.theirs / "project")
        sides = [
            _side(project, "ours", "our assets", ours),
            _side(project, "theirs", "sqlmesh run", [*native, "run", "prod", "--skip-janitor"]),
        ]
        if not self.peers:
            sides.append(bare_side(project.ours, project.ours / "dagster_home"))
        for name, (peer, _) in _PEERS.items():
            if self.peers and (project.folder / name).exists():
                command = [peer.script("dagster"), *_EVERYTHING]
                sides.append(_side(project, name, peer.name, command, peer))
        return Result(self.NAME, self.ABOUT, sides, project.facts)


def _side(
    project: Prepared, name: str, label: str, command: list[str], peer: Peer | None = None
) -> Side:
    folder = project.folder / name
    database = folder / "project" / DATABASE
    home = folder / "dagster_home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    models = make_models(int(str(project.facts["models"])))
    count = len(models)
    before: dict[str, int] = {}

    def make_due() -> None:
        database.with_name(f"{DATABASE}.wal").unlink(missing_ok=True)
        shutil.copyfile(project.folder / _ALL_DUE, database)
        before.clear()
        before.update(days_of_state(database))

    def verify(began: float, output: str) -> dict[str, Any]:
        added = [days - before[name] for name, days in days_of_state(database).items()]
        query = " UNION ALL ".join(f"SELECT COUNT(*) AS n FROM {m.name}" for m in models)
        with closing(duckdb.connect(str(database), read_only=True)) as connection:
            (rows,) = connection.execute(f"SELECT SUM(n)::INT FROM ({query})").fetchone() or (0,)
        if added != [1] * count or rows != count * IDS * DAYS:
            raise RuntimeError(f"{label}: {len(added)} models, {sum(added)} days, {rows} rows\n"
                               f"{output[-5000:]}")  # fmt: skip
        if name == "theirs":
            return {"rows": rows}
        stored = stored_of(home, began, output)
        if peer is None and (stored.materialised, stored.passed) != (count, count):
            raise RuntimeError(f"{label}: {stored}\n{output[-5000:]}")
        return {"rows": rows, **stored.facts()}

    versions: Mapping[str, str] = peer.versions() if peer else {}
    return Side(name, label, command, folder, environment(DAGSTER_HOME=str(home)), make_due, verify,
                versions=versions)  # fmt: skip


THOUSAND = RunAll("run-1000", None, peers=False)
HUNDRED = RunAll("run-100", 100, peers=True)
