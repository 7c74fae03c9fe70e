"""A SQLMesh project of 1,000 models, made by a rule and planned once.

Layers of models on DuckDB: the first makes its rows, each further one reads models of the layers
before it. Kinds are mixed, every model has one audit. All models have an `end` in the past, so
nothing ever comes due by itself, whatever the day: the model that is built is the one whose last
day was taken out of the state.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEVELS = 10
FIRST_DAY, LAST_DAY = "2024-01-01", "2024-01-31"
DATABASE = "warehouse.duckdb"
PROJECT = "thousand"
_KINDS = ("INCREMENTAL", "FULL", "VIEW")
_PLANNED = "planned"
IDS = 5
"""Each model has so many rows of each day."""
DAYS = 31
_DAYS = f"GENERATE_SERIES('{FIRST_DAY}'::TIMESTAMP, '{LAST_DAY}'::TIMESTAMP, INTERVAL '1' DAY)"
_SERIES = {
    "duckdb": ("n.generate_series", f"UNNEST({_DAYS})"),
    "postgres": ("n", _DAYS),
}
"""How a dialect names the column of GENERATE_SERIES, and makes days."""

_CONFIG = f'''\
from pathlib import Path

from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

database = str(Path(__file__).resolve().parent / "{DATABASE}")
config = Config(
    gateways={{"local": GatewayConfig(connection=DuckDBConnectionConfig(database=database))}},
    default_gateway="local",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="{FIRST_DAY}", cron="@daily"),
    disable_anonymized_analytics=True,
)
'''
_TRANSFORM = f"""\
projects:
  {PROJECT}: {{framework: sqlmesh, path: project, plan: never}}
"""
_DEFINITIONS = """\
from pathlib import Path

from dagster_transform import build_transform_definitions

defs = build_transform_definitions(Path(__file__).parent)
"""


@dataclass(frozen=True)
class Model:
    """A generated model: `layer_3.m_0312` with its kind and what it reads."""

    name: str
    level: int
    kind: str
    parents: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its file, for DuckDB."""
        return self.text_for("duckdb")

    def text_for(self, dialect: str) -> str:
        """Its file in a dialect: only what makes the rows differs."""
        kind = "INCREMENTAL_BY_TIME_RANGE (time_column day)" if self.incremental else self.kind
        where = "\nWHERE {day} BETWEEN @start_ds AND @end_ds" if self.incremental else ""
        header = (
            f"MODEL (\n  name {self.name},\n  kind {kind},\n  end '{LAST_DAY}',\n"
            f"  owner team_{self.level},\n  tags (layer_{self.level}),\n"
            f"  description 'Model {self.name}, of layer {self.level}.',\n"
            "  column_descriptions (id = 'What is counted', amount = 'Of what came before'),\n"
            "  audits (not_null(columns := (id, day)))\n);\n\n"
        )
        if not self.parents:
            series, days = _SERIES[dialect]
            return header + (
                f"SELECT\n  {series}::INT AS id,\n  d.day::DATE AS day,\n"
                f"  ({series} * 10)::BIGINT AS amount,\n"
                f"  CASE WHEN {series} % 2 = 0 THEN 'even' ELSE 'odd' END::TEXT AS label\n"
                f"FROM GENERATE_SERIES(1, {IDS}) AS n\nCROSS JOIN (\n"
                f"  SELECT {days} AS day\n) AS d" + where.format(day="d.day") + "\n"
            )
        first, *others = self.parents
        amounts = " + ".join(f"p{i}.amount" for i in range(len(self.parents)))
        joins = "".join(
            f"\nJOIN {other} AS p{i}\n  ON p0.id = p{i}.id AND p0.day = p{i}.day"
            for i, other in enumerate(others, 1)
        )
        return header + (
            "SELECT\n  p0.id::INT AS id,\n  p0.day::DATE AS day,\n"
            f"  (({amounts}) % 100003)::BIGINT AS amount,\n  UPPER(p0.label)::TEXT AS label\n"
            f"FROM {first} AS p0{joins}" + where.format(day="p0.day") + "\n"
        )

    @property
    def incremental(self) -> bool:
        """Whether it is built day by day."""
        return self.kind == "INCREMENTAL"


def make_models(count: int) -> list[Model]:
    """The models, parents first: the same for the same count."""
    rng = random.Random(20240131)
    by_level: list[list[Model]] = [[] for _ in range(LEVELS)]
    for number in range(count):
        level = number * LEVELS // count
        parents: list[str] = []
        if level:
            parents.append(rng.choice(by_level[level - 1]).name)
            for _ in range(rng.choice((0, 0, 1, 2))):
                other = rng.choice(by_level[rng.randrange(level)]).name
                if other not in parents:
                    parents.append(other)
        kind = _KINDS[number % len(_KINDS)] if level else "INCREMENTAL"
        name = f"layer_{level}.m_{number:04d}"
        by_level[level].append(Model(name, level, kind, tuple(parents)))
    return [model for level in by_level for model in level]


def due_model(models: list[Model]) -> Model:
    """The model that is made due: an incremental one in the middle of the graph."""
    return next(m for m in models if m.incremental and m.level == LEVELS // 2 and m.parents[1:])


def ancestors(models: list[Model], name: str) -> set[str]:
    """All models that a model reads, directly or not."""
    parents = {m.name: m.parents for m in models}
    found: set[str] = set()
    stack = list(parents[name])
    while stack:
        one = stack.pop()
        if one not in found:
            found.add(one)
            stack.extend(parents[one])
    return found


def environment(**more: str) -> dict[str, str]:
    """For the processes that are measured: bytecode is kept, nobody is phoned."""
    kept = {k: v for k, v in os.environ.items() if k not in _UNWANTED}
    return {**kept, "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true", "DO_NOT_TRACK": "1", **more}


# MAX_FORK_WORKERS is how this repository's tests run SQLMesh; natively it has its own default.
_UNWANTED = frozenset(
    {"PYTHONDONTWRITEBYTECODE", "DAGSTER_HOME", "MAX_FORK_WORKERS", "DAGSTER_IS_DEV_CLI"}
    | {"DAGSTER_TRANSFORM_CONFIG", "MAX_CONCURRENT_MODELS"}
)


@dataclass(frozen=True)
class Prepared:
    """The project, twice: one for each side of a comparison.

    Attributes:
        folder: Holds `ours` (the project for dagster-transform: transform.yaml, definitions.py,
            graph file), `theirs` (the same project for native SQLMesh), the database with exactly
            one model due, and the same assets as bare Dagster.
        model: The model that is due.
        facts: What to write beside results.
    """

    folder: Path
    model: Model
    facts: Mapping[str, object]

    @property
    def ours(self) -> Path:
        return self.folder / "ours"

    @property
    def theirs(self) -> Path:
        return self.folder / "theirs"

    @property
    def bare(self) -> Path:
        return self.folder / "bare_definitions.py"

    def make_due(self, side: Path) -> None:
        """Put the database back to where exactly the one model is due."""
        database = side / "project" / DATABASE
        database.with_name(f"{DATABASE}.wal").unlink(missing_ok=True)
        shutil.copyfile(self.folder / "due.duckdb", database)


def prepare(cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
    """Generate, plan and prepare the project where that has not been done yet."""
    models = make_models(count)
    model = due_model(models)
    files = {f"project/models/{m.name.replace('.', '/')}.sql": m.text for m in models}
    files |= {
        "project/config.py": _CONFIG,
        "transform.yaml": _TRANSFORM,
        "definitions.py": _DEFINITIONS,
    }
    version = importlib.metadata.version("sqlmesh")
    digest = hashlib.sha256(json.dumps([files, version], sort_keys=True).encode()).hexdigest()[:12]
    often = {kind: sum(m.kind == kind for m in models) for kind in _KINDS}
    facts = {
        "models": count,
        "audits": count,
        "levels": LEVELS,
        "kinds": often,
        "due": model.name,
        "ancestors_of_due": len(ancestors(models, model.name)),
    }
    prepared = Prepared((cache / f"{count}-{digest}").resolve(), model, facts)
    folder, ours = prepared.folder, prepared.ours
    if not (folder / _PLANNED).exists():
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in files.items():
            target = ours / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        say(f"Planning {count} models natively, once: takes minutes ({folder})")
        project = ours / "project"
        run([*sqlmesh_command(project), "plan", "prod", "--auto-apply", "--no-prompts"], ours)
        say(f"Taking the last day of {model.name} out of the table and the state")
        run([sys.executable, "-m", "bench.make_due", str(project), model.name, LAST_DAY], ROOT)
        shutil.move(project / DATABASE, folder / "due.duckdb")
        shutil.copytree(ours, prepared.theirs)
        (folder / _PLANNED).touch()
    for side in (ours, prepared.theirs):
        prepared.make_due(side)
    say("Writing the graph file: dagster-transform prepare")
    run([sys.executable, "-m", "dagster_transform.cli", "prepare", "--config", str(ours)], ours)
    return prepared


def sqlmesh_command(folder: Path) -> list[str]:
    """SQLMesh's own command line on a project."""
    script = Path(sys.executable).with_name("sqlmesh")
    return [str(script), "--paths", str(folder), "--log-file-dir", str(folder / "logs")]


def run(command: list[str], cwd: Path) -> None:
    """A step of the preparation. Raises RuntimeError with what it said."""
    done = subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
