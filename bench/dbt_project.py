"""dbt projects made by a rule, twice: one for each side of a comparison.

Layers of small tables and views: what is measured is what happens around the statements.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.project import ROOT, Model, ancestors, due_model, environment, make_models, run

_TRANSFORM = "projects:\n  many: {framework: dbt, path: project, profiles_dir: project}\n"
_DEFINITIONS = """\
from pathlib import Path

from dagster_transform import build_transform_definitions

defs = build_transform_definitions(Path(__file__).parent)
"""
WITH_CHECKS = """\
from pathlib import Path

import dagster as dg

from dagster_transform import build_transform_definitions

checks = dg.define_asset_job("checks", selection={selection})
defs = dg.Definitions.merge(
    build_transform_definitions(Path(__file__).parent), dg.Definitions(jobs=[checks])
)
"""
"""Definitions with a job for a selection of checks: Dagster's command line selects assets only."""
_HOME = "telemetry: {enabled: false}\n"
_SETTINGS: Mapping[str, Any] = {
    "name": "many",
    "version": "1.0",
    "config-version": 2,
    "profile": "many",
    "flags": {"send_anonymous_usage_stats": False},
}
_PREPARED = "prepared"


@dataclass(frozen=True)
class Prepared:
    """The project, in the folders `ours` and `theirs`.

    Attributes:
        folder: Holds both.
        model: Name of a model in the middle of the graph.
        facts: What to write beside results.
    """

    folder: Path
    model: str
    facts: Mapping[str, object]

    @property
    def ours(self) -> Path:
        """transform.yaml, definitions.py, graph file, Dagster's home and the project."""
        return self.folder / "ours"

    @property
    def theirs(self) -> Path:
        """The project, with the partial parse that dbt keeps."""
        return self.folder / "theirs" / "project"

    def dagster(self, select: str) -> list[str]:
        """Dagster's own command line that materialises a selection; its folder is `ours`."""
        script = str(Path(sys.executable).with_name("dagster"))
        return [script, "asset", "materialize", "--select", select, "-f", "definitions.py"]

    def dagster_checks(self) -> list[str]:
        """Dagster's own command line that runs the job of `WITH_CHECKS`; its folder is `ours`."""
        script = str(Path(sys.executable).with_name("dagster"))
        return [script, "job", "execute", "-f", "definitions.py", "-j", "checks"]

    @property
    def home(self) -> Path:
        """Dagster's."""
        return self.ours / "dagster_home"

    def environment(self) -> dict[str, str]:
        """Of both sides."""
        return environment(DAGSTER_HOME=str(self.home), DBT_SEND_ANONYMOUS_USAGE_STATS="false")

    def results(self, side: str) -> list[dict[str, Any]]:
        """What run_results.json of a side's last run says of each node."""
        if side == "theirs":
            file = self.theirs / "target" / "run_results.json"
        else:
            runs = (self.ours / ".dagster_transform" / "many" / "runs").glob("*/run_results.json")
            file = max(runs, key=lambda path: path.stat().st_mtime)
        found: list[dict[str, Any]] = json.loads(file.read_bytes())["results"]
        return found


def dbt_command(*arguments: str) -> list[str]:
    """dbt's own command line; its folder is the project's."""
    return [str(Path(sys.executable).with_name("dbt")), *arguments, "--profiles-dir", "."]


def prepare(
    cache: Path,
    count: int,
    output: Callable[[str], Mapping[str, Any]],
    say: Callable[[str], None],
    *,
    tests: Mapping[str, str] | None = None,
    definitions: str = _DEFINITIONS,
) -> Prepared:
    """Generate the project, parse it as both sides keep it, and build what the one model reads.

    Args:
        cache: Folder of the kept projects.
        count: How many models.
        output: The profile of a side.
        say: Tells what goes on.
        tests: Further files, by path.
        definitions: What Dagster loads.
    """
    models = make_models(count)
    one = due_model(models)
    files = {f"models/{m.name.replace('.', '/')}.sql": _text(m) for m in models}
    files["dbt_project.yml"] = yaml.safe_dump(dict(_SETTINGS))
    files |= tests or {}
    kind = output("ours")["type"]
    versions = [importlib.metadata.version(name) for name in ("dbt-core", f"dbt-{kind}")]
    digest = hashlib.sha256(json.dumps([files, versions], sort_keys=True).encode())
    folder = (cache / f"dbt-{kind}-{count}-{digest.hexdigest()[:12]}").resolve()
    name = one.name.partition(".")[2]
    facts = {
        "models": count,
        "adapter": kind,
        "threads": output("ours")["threads"],
        "ancestors_of_model": len(ancestors(models, one.name)),
        "versions": versions,
    }
    prepared = Prepared(folder, name, facts)
    new = not (folder / _PREPARED).exists()
    if new:
        shutil.rmtree(folder, ignore_errors=True)
    for side in ("ours", "theirs"):
        project = folder / side / "project"
        profile = {"many": {"target": "bench", "outputs": {"bench": dict(output(side))}}}
        written = {**files, "profiles.yml": yaml.safe_dump(profile)}
        for path, text in written.items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                target.write_text(text, encoding="utf-8")
    prepared.home.mkdir(exist_ok=True)
    (prepared.home / "dagster.yaml").write_text(_HOME, encoding="utf-8")
    (prepared.ours / "transform.yaml").write_text(_TRANSFORM, encoding="utf-8")
    (prepared.ours / "definitions.py").write_text(definitions, encoding="utf-8")
    say(f"Parsing {count} dbt models for both sides ({folder})")
    run(dbt_command("parse"), prepared.theirs)
    config = str(prepared.ours)
    run([sys.executable, "-m", "dagster_transform.cli", "prepare", "--config", config], ROOT)
    if new and kind == "duckdb":
        say(f"Building what {name} reads")
        for side in (prepared.ours / "project", prepared.theirs):
            run(dbt_command("run", "--select", f"+{name}"), side)
        shutil.rmtree(prepared.ours / "project" / "target")  # ours keeps its own parse
    (folder / _PREPARED).touch()
    return prepared


def one_test_each(models: Sequence[Model]) -> dict[str, str]:
    """Files that give each model a test, by path."""
    tested: dict[str, list[Any]] = {}
    for model in models:
        layer, name = model.name.split(".")
        column = {"name": "id", "data_tests": ["not_null"]}
        tested.setdefault(layer, []).append({"name": name, "columns": [column]})
    return {
        f"models/{layer}/schema.yml": yaml.safe_dump({"version": 2, "models": of_layer})
        for layer, of_layer in tested.items()
    }


def _text(model: Any) -> str:
    """A model's file."""
    kind = "view" if model.kind == "VIEW" else "table"
    header = f"{{{{ config(materialized='{kind}', tags=['layer_{model.level}']) }}}}\n"
    if not model.parents:
        return header + "select 1 as id, 10 as amount, current_timestamp as built_at\n"
    amounts = " + ".join(f"p{i}.amount" for i in range(len(model.parents)))
    names = [parent.partition(".")[2] for parent in model.parents]
    first, *others = [f"{{{{ ref('{name}') }}}}" for name in names]
    joins = "".join(
        f"\njoin {other} as p{i} on p0.id = p{i}.id" for i, other in enumerate(others, 1)
    )
    return header + (
        f"select p0.id, ({amounts}) % 100003 as amount, current_timestamp as built_at\n"
        f"from {first} as p0{joins}\n"
    )
