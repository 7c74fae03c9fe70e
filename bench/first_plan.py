"""first-plan-100: the first plan of 100 SQLMesh models with 100 audits, on an empty database."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.measure import Result, Side
from bench.peer_definitions import DAGSTER_SQLMESH as DEFINITIONS_OF_DAGSTER_SQLMESH
from bench.peers import DAGSTER_SQLMESH
from bench.postgres import Server, start_server
from bench.project import (
    DATABASE,
    DAYS,
    FIRST_DAY,
    IDS,
    ROOT,
    Model,
    environment,
    make_models,
    run,
    sqlmesh_command,
)  # fmt: skip
from bench.stored import stored_of

MODELS = 100
_PROJECT = "hundred"
_DEFINITIONS = """\
from pathlib import Path

from dagster_transform import build_transform_definitions

defs = build_transform_definitions(Path(__file__).parent)
"""
_PLAN = {"ops": {f"plan_{_PROJECT}": {"config": {"apply": True}}}}
_OURS = {"ours": "never", "ours_assets": "auto"}
"""Our sides, and what transform.yaml says of plans there."""
_THEIRS, _PEER = "theirs", "dagster_sqlmesh"


@dataclass(frozen=True)
class Prepared:
    """The project once for each side, with nothing built.

    Attributes:
        folder: Holds a folder for each side.
        models: Of the project.
        server: PostgreSQL's, where it is built there.
        peers: The peers that are installed.
    """

    folder: Path
    models: Sequence[Model]
    server: Server | None
    peers: Sequence[str] = field(default=())

    def connection(self, side: str) -> Mapping[str, Any]:
        """SQLMesh's, of a side."""
        if self.server is None:
            return {"type": "duckdb", "database": str(self.folder / side / DATABASE)}
        return {
            "type": "postgres", "host": self.server.host, "port": self.server.port,
            "user": self.server.user, "password": "unused", "database": side,
        }  # fmt: skip

    def start_anew(self, side: str) -> None:
        """Nothing is built, and the graph file is as `prepare` has left it."""
        folder = self.folder / side
        if self.server is None:
            for name in (DATABASE, f"{DATABASE}.wal"):
                (folder / name).unlink(missing_ok=True)
        else:
            self.server.execute([f"DROP DATABASE IF EXISTS {side}", f"CREATE DATABASE {side}"])
        kept = folder / "prepared"
        if kept.exists():
            shutil.rmtree(folder / ".dagster_transform", ignore_errors=True)
            shutil.copytree(kept, folder / ".dagster_transform")

    def rows(self, side: str) -> int:
        """How many rows readers see, in all models."""
        query = " UNION ALL ".join(f"SELECT COUNT(*) AS n FROM {m.name}" for m in self.models)
        query = f"SELECT SUM(n) FROM ({query}) AS counted"
        if self.server is None:
            import duckdb

            file = self.folder / side / DATABASE
            with closing(duckdb.connect(str(file), read_only=True)) as connection:
                (found,) = connection.execute(query).fetchone() or (0,)
        else:
            found = self.server.ask(query, side)
        return int(found)


@dataclass(frozen=True)
class FirstPlan:
    """One such benchmark.

    Attributes:
        NAME: Its name.
        engine: Where it builds.
    """

    NAME: str
    engine: str

    @property
    def ABOUT(self) -> str:  # noqa: N802 - as a module has it
        return f"First plan of {MODELS} SQLMesh models with {MODELS} audits, {self.engine}"

    def prepared(self, cache: Path, _count: int, say: Callable[[str], None]) -> Prepared:
        """The project for each side, anew."""
        server = start_server() if self.engine == "PostgreSQL" else None
        found = Prepared((cache / self.NAME).resolve(), make_models(MODELS), server)
        shutil.rmtree(found.folder, ignore_errors=True)
        peers = [_PEER] if DAGSTER_SQLMESH.installed(say) else []
        dialect = "postgres" if server else "duckdb"
        for side in (*_OURS, _THEIRS, *peers):
            _write(found, side, dialect)
        for side in _OURS:
            say(f"Writing the graph file: dagster-transform prepare ({found.folder / side})")
            found.start_anew(side)
            config = ["--config", str(found.folder / side)]
            run([sys.executable, "-m", "dagster_transform.cli", "prepare", *config], ROOT)
            shutil.move(
                found.folder / side / ".dagster_transform", found.folder / side / "prepared"
            )
        return Prepared(found.folder, found.models, server, peers)

    def compare(self, project: Prepared) -> Result:
        """Our plan job that applies what it has planned, and all assets where a run plans by
        itself, against `sqlmesh plan`: each on a database with nothing in it.

        After each run all rows are there, and of ours a materialisation and a result of the check
        of each model.
        """
        dagster = str(Path(sys.executable).with_name("dagster"))
        everything = ["asset", "materialize", "--select", "*", "-f", "definitions.py"]
        job = ["job", "execute", "-f", "definitions.py", "-j", f"{_PROJECT}_plan"]
        native = sqlmesh_command(project.folder / _THEIRS / "project")
        sides = [
            _side(project, "ours", "our plan job", [dagster, *job, "-c", "plan.yaml"]),
            _side(project, _THEIRS, "sqlmesh plan",
                  [*native, "plan", "prod", "--auto-apply", "--no-prompts"]),
            _side(project, "ours_assets", "our assets, plan: auto", [dagster, *everything]),
        ]  # fmt: skip
        if _PEER in project.peers:
            command = [DAGSTER_SQLMESH.script("dagster"), *everything]
            versions = DAGSTER_SQLMESH.versions()
            sides.append(_side(project, _PEER, "dagster-sqlmesh", command, versions))
        facts = {"models": MODELS, "audits": MODELS, "engine": self.engine}
        return Result(self.NAME, self.ABOUT, sides, facts)


def _side(
    project: Prepared,
    name: str,
    label: str,
    command: list[str],
    versions: Mapping[str, str] | None = None,
) -> Side:
    home = project.folder / name / "dagster_home"

    def verify(began: float, output: str) -> dict[str, Any]:
        rows, expected = project.rows(name), MODELS * IDS * DAYS
        if rows != expected:
            raise RuntimeError(f"{label}: {rows} rows, not {expected}\n{output}")
        if name == _THEIRS:
            return {"rows": rows}
        stored = stored_of(home, began, output)
        if name in _OURS and (stored.materialised, stored.passed) != (MODELS, MODELS):
            raise RuntimeError(f"{label}: {stored}\n{output}")
        return {"rows": rows, **stored.facts()}

    return Side(
        name, label, command, project.folder / name, environment(DAGSTER_HOME=str(home)),
        lambda: project.start_anew(name), verify, versions=versions or {},
    )  # fmt: skip


def _write(project: Prepared, side: str, dialect: str) -> None:
    config = {
        "gateways": {"local": {"connection": dict(project.connection(side))}},
        "default_gateway": "local",
        "model_defaults": {"dialect": dialect, "start": FIRST_DAY, "cron": "@daily"},
        "disable_anonymized_analytics": True,
    }
    files = {f"project/models/{m.name.replace('.', '/')}.sql": m.text_for(dialect)
             for m in project.models}  # fmt: skip
    files["project/config.yaml"] = json.dumps(config)  # JSON is YAML
    files["dagster_home/dagster.yaml"] = "telemetry: {enabled: false}\n"
    if side in _OURS:
        of_project = {"framework": "sqlmesh", "path": "project", "plan": _OURS[side]}
        files["transform.yaml"] = yaml.safe_dump({"projects": {_PROJECT: of_project}})
        files["definitions.py"] = _DEFINITIONS
        files["plan.yaml"] = yaml.safe_dump(_PLAN)
    elif side == _PEER:
        files["definitions.py"] = DEFINITIONS_OF_DAGSTER_SQLMESH
    for path, text in files.items():
        target = project.folder / side / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


DUCKDB = FirstPlan("first-plan-100", "DuckDB")
POSTGRES = FirstPlan("first-plan-100-postgres", "PostgreSQL")
