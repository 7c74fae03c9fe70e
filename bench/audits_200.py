"""audits-200: 200 audits of half a second, through Dagster side by side, and as `sqlmesh audit`."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.audits_project import (
    AUDITS,
    DATABASE,
    FIRST_DAY,
    LAST_DAY,
    TASKS,
    calls,
    project_files,
    source_statements,
    spoiling_statements,
)
from bench.evaluations import Evaluation, evaluations_of_run
from bench.measure import Result, Side
from bench.postgres import start_server
from bench.project import ROOT, environment, run, sqlmesh_command

NAME = "audits-200"
ABOUT = f"{AUDITS} audits of 0.5 s on PostgreSQL, {TASKS} connections, the whole process"
PROJECT = "audited"
STANDALONE_AUDIT = "standalone_audit"
_TRANSFORM = f"projects:\n  {PROJECT}: {{framework: sqlmesh, path: project, plan: never}}\n"
_DEFINITIONS = """\
from pathlib import Path

import dagster as dg

from dagster_transform import build_transform_definitions

checks = dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())
defs = dg.Definitions.merge(
    build_transform_definitions(Path(__file__).parent), dg.Definitions(jobs=[checks])
)
"""
_LINE = re.compile(
    r"^(?P<audit>\w+)(?: on model (?P<model>\S+))? \S+ (?:PASS|SKIPPED|FAIL \[(?P<rows>\d+)\])\.$"
)
_CALLED = re.compile(r"SQLMesh (?:standalone )?audit (?P<audit>\w+)")

Found = dict[tuple[str, str], list[int]]
"""Failed rows, by audit and model, in the order of the calls; a skipped one is not there."""


@dataclass(frozen=True)
class Prepared:
    """The project, planned and spoilt, for both sides: neither changes what the other reads."""

    folder: Path

    @property
    def ours(self) -> Path:
        return self.folder / "ours"

    @property
    def theirs(self) -> Path:
        return self.folder / "theirs"

    @property
    def home(self) -> Path:
        return self.ours / "dagster_home"


def prepared(cache: Path, _count: int, say: Callable[[str], None]) -> Prepared:
    """Write and plan the project, on a server that is there as long as this process."""
    server = start_server()
    server.execute([f"CREATE DATABASE {DATABASE}"])
    server.execute(source_statements(), DATABASE)
    connection = {
        "host": server.host, "port": server.port, "user": server.user, "password": "unused",
        "database": DATABASE, "concurrent_tasks": TASKS,
    }  # fmt: skip
    found = Prepared((cache / NAME).resolve())
    shutil.rmtree(found.folder, ignore_errors=True)
    for path, text in {
        **{f"project/{path}": text for path, text in project_files(connection).items()},
        "transform.yaml": _TRANSFORM,
        "definitions.py": _DEFINITIONS,
        "dagster_home/dagster.yaml": "telemetry: {enabled: false}\n",
    }.items():
        target = found.ours / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    say(f"Planning the project natively, with its audits: half a minute ({found.folder})")
    project = found.ours / "project"
    run([*sqlmesh_command(project), "plan", "prod", "--auto-apply", "--no-prompts"], ROOT)
    server.execute(spoiling_statements(), DATABASE)
    shutil.copytree(project, found.theirs)
    config = str(found.ours)
    run([sys.executable, "-m", "dagster_transform.cli", "prepare", "--config", config], ROOT)
    return found


def compare(project: Prepared) -> Result:
    """A run of Dagster's that has all checks and no asset, against `sqlmesh audit`.

    Both end with an error, since audits fail. After each run its results are compared, audit by
    audit, with what is known of the data.
    """
    dagster = str(Path(sys.executable).with_name("dagster"))
    ours = [dagster, "job", "execute", "-f", "definitions.py", "-j", "checks"]
    theirs = [*sqlmesh_command(project.theirs), "audit", "--start", FIRST_DAY, "--end", LAST_DAY]
    expected = _expected()

    def verify_ours(began: float, output: str) -> dict[str, Any]:
        evaluations = evaluations_of_run(project.home, began, output)
        return _verify(_of_dagster(project, evaluations), expected, output)

    def verify_theirs(_began: float, output: str) -> dict[str, Any]:
        return _verify(_of_sqlmesh(output), expected, output)

    def nothing() -> None:
        pass

    return Result(
        NAME,
        ABOUT,
        [
            Side("ours", "a run of all checks", ours, project.ours,
                 environment(DAGSTER_HOME=str(project.home)), nothing, verify_ours, may_fail=True),
            Side("theirs", "sqlmesh audit", theirs, project.theirs,
                 environment(COLUMNS="1000"), nothing, verify_theirs, may_fail=True),
        ],
        {"audits": AUDITS, "connections": TASKS, "failing": sum(map(bool, _flat(expected)))},
    )  # fmt: skip


def _expected() -> Found:
    found: Found = {}
    for model, of_model in calls().items():
        for call in of_model:
            if call.failures is not None:
                found.setdefault((call.audit, model), []).append(call.failures)
    return found


def _of_sqlmesh(output: str) -> Found:
    found: Found = {}
    for line in output.splitlines():
        if (told := _LINE.match(line.strip())) and "SKIPPED" not in line:
            key = (told["audit"], told["model"] or "")
            found.setdefault(key, []).append(int(told["rows"] or 0))
    return found


def _of_dagster(project: Prepared, evaluations: MutableMapping[Any, Evaluation]) -> Found:
    """Results by SQLMesh's names; of several calls of one audit, by their arguments."""
    from dagster_transform import TransformTranslator
    from dagster_transform.dagster.translation.keys import keys_of
    from dagster_transform.graph import read_graph_file

    file = project.ours / ".dagster_transform" / f"{PROJECT}.graph.json"
    graph = read_graph_file(file).graph
    keys = keys_of(graph, TransformTranslator(project.ours)).checks
    missing = {model: list(of_model) for model, of_model in calls().items()}
    found: dict[tuple[str, str], dict[int, int]] = {}
    for check in graph.checks.values():
        called = _CALLED.match(check.description or "")
        assert called is not None, check
        audit = called["audit"]
        alone = check.kind == STANDALONE_AUDIT
        model = "" if alone else ".".join(keys[check.id].asset_key.path[-2:])
        of_audit = [call for call in missing[model] if call.audit == audit]
        call = next(c for c in of_audit if len(of_audit) == 1 or c.is_called(check.properties))
        missing[model].remove(call)
        place = calls()[model].index(call)
        found.setdefault((audit, model), {})[place] = evaluations.pop(keys[check.id]).failed_rows
    assert not evaluations, evaluations
    return {key: [rows for _, rows in sorted(of_one.items())] for key, of_one in found.items()}


def _verify(found: Found, expected: Found, output: str) -> dict[str, Any]:
    if found != expected:
        keys = sorted(found.keys() | expected.keys())
        other = {k: (found.get(k), expected[k]) for k in keys if found.get(k) != expected.get(k)}
        raise RuntimeError(f"Other results than the data have: {other}\n{output[-5000:]}")
    return {"audits": len(_flat(found)), "failed": sum(map(bool, _flat(found)))}


def _flat(found: Found) -> list[int]:
    return [rows for of_one in found.values() for rows in of_one]
