"""dbt-build-100, dbt-run-1000: all models of a dbt project in one run, from an empty database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bare_run import bare_side
from bench.dbt_project import Prepared, dbt_command, one_test_each, prepare
from bench.measure import Result, Side
from bench.peer_definitions import DAGSTER_DBT as DEFINITIONS_OF_DAGSTER_DBT
from bench.peers import DAGSTER_DBT
from bench.project import Model, environment, make_models, run
from bench.stored import stored_of

_DATABASE = "warehouse.duckdb"
_THREADS = 4
_PEER = "dagster_dbt"


@dataclass(frozen=True)
class DbtAll:
    """One such benchmark.

    Attributes:
        NAME: Its name.
        models: How many; None: as many as the command line says.
        tests: Whether each model has a test. Then dagster-dbt does it, too; else bare Dagster
            stores as many events.
    """

    NAME: str
    models: int | None
    tests: bool

    @property
    def ABOUT(self) -> str:  # noqa: N802 - as a module has it
        count = f"{self.models or 1000:,}"
        tests = f" with {count} tests" if self.tests else ""
        return f"Build {count} dbt models{tests} in one run, DuckDB, {_THREADS} threads"

    def prepared(self, cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
        """The project on DuckDB, in a folder of its own: others want what is built to be there."""

        def output(_side: str) -> Mapping[str, Any]:
            return {"type": "duckdb", "path": _DATABASE, "threads": _THREADS}

        count = self.models or count
        tests = one_test_each(make_models(count)) if self.tests else {}
        project = prepare(cache / self.NAME, count, output, say, tests=tests)
        peer = project.folder / _PEER
        shutil.rmtree(peer, ignore_errors=True)
        if self.tests and DAGSTER_DBT.installed(say):
            shutil.copytree(project.theirs, peer / "project")
            shutil.rmtree(peer / "project" / "target")
            say("Parsing it for dagster-dbt")
            run([DAGSTER_DBT.script("dbt"), "parse", "--profiles-dir", "."], peer / "project")
            (peer / "definitions.py").write_text(DEFINITIONS_OF_DAGSTER_DBT, encoding="utf-8")
            home = peer / "dagster_home"
            home.mkdir()
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        return project

    def compare(self, project: Prepared) -> Result:
        """All assets through Dagster, against `dbt build`.

        After each run each model has its row; of ours there is a materialisation of each model, and
        a result of each check.
        """
        ours = project.dagster("*")
        sides = [
            self._side(project, "ours", "our assets", ours),
            self._side(project, "theirs", "dbt build", dbt_command("build")),
        ]
        if not self.tests:
            sides.append(bare_side(project.ours, project.home))
        if (project.folder / _PEER).exists():
            command = [DAGSTER_DBT.script("dagster"), *ours[1:]]
            sides.append(self._side(project, _PEER, "dagster-dbt", command))
        tests = int(str(project.facts["models"])) if self.tests else 0
        return Result(self.NAME, self.ABOUT, sides, {**project.facts, "tests": tests})

    def _side(self, project: Prepared, name: str, label: str, command: list[str]) -> Side:
        folder = project.folder / name
        count = int(str(project.facts["models"]))
        models = make_models(count)
        database = folder / "project" / _DATABASE

        def start_anew() -> None:
            for file in (database, database.with_name(f"{_DATABASE}.wal")):
                file.unlink(missing_ok=True)

        def verify(began: float, output: str) -> dict[str, Any]:
            rows = _rows(database, models)
            if rows != count:
                raise RuntimeError(f"{label}: {rows} rows, not {count}\n{output[-5000:]}")
            if name == "theirs":
                done = sum(r["status"] in ("success", "pass") for r in project.results(name))
                if done != count * (1 + self.tests):
                    raise RuntimeError(f"{label}: {done} nodes\n{output[-5000:]}")
                return {"rows": rows}
            stored = stored_of(folder / "dagster_home", began, output)
            expected = (count, count * self.tests)
            if name == "ours" and (stored.materialised, stored.passed) != expected:
                raise RuntimeError(f"{label}: {stored}\n{output[-5000:]}")
            return {"rows": rows, **stored.facts()}

        env = environment(
            DAGSTER_HOME=str(folder / "dagster_home"), DBT_SEND_ANONYMOUS_USAGE_STATS="false"
        )
        if name == _PEER:
            env |= {"PATH": DAGSTER_DBT.environment()["PATH"]}
        cwd = project.theirs if name == "theirs" else folder
        versions = DAGSTER_DBT.versions() if name == _PEER else {}
        return Side(name, label, command, cwd, env, start_anew, verify, versions=versions)


def _rows(database: Path, models: list[Model]) -> int:
    """How many rows there are in all models."""
    import duckdb

    names = [m.name.partition(".")[2] for m in models]
    query = " UNION ALL ".join(f"SELECT COUNT(*) AS n FROM {name}" for name in names)
    with closing(duckdb.connect(str(database), read_only=True)) as connection:
        (found,) = connection.execute(f"SELECT SUM(n)::INT FROM ({query})").fetchone() or (0,)
    return int(found)


HUNDRED = DbtAll("dbt-build-100", 100, tests=True)
THOUSAND = DbtAll("dbt-run-1000", None, tests=False)
