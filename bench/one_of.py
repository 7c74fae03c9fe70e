"""one-of-1000: one due model of a thousand, through Dagster and natively."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from bench.measure import Result, Side
from bench.project import DATABASE, LAST_DAY, Prepared, environment, sqlmesh_command

NAME = "one-of-1000"
ABOUT = "Build one due model of 1,000, the whole process"
# What a schedule asks for: only what is due, as `sqlmesh run` does.
IGNORE_NO_CRON = {"resources": {"transform": {"config": {"ignore_cron": False}}}}
LABELS = {"ours": "dagster asset materialize", "theirs": "sqlmesh run --select-model"}
HOME = "telemetry: {enabled: false}\n"

Intervals = dict[str, int]


def compare(project: Prepared) -> Result:
    """`dagster asset materialize`, Dagster's start included, against `sqlmesh run`."""
    home = project.ours / "dagster_home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(HOME, encoding="utf-8")
    key = key_of(project)
    dagster = str(Path(sys.executable).with_name("dagster"))
    ours = [dagster, "asset", "materialize", "--select", f"key:{key}", "-f", "definitions.py"]
    ours += ["--config-json", json.dumps(IGNORE_NO_CRON)]
    # The janitor, which a native run ends with, is no part of building a model.
    theirs = [*sqlmesh_command(project.theirs / "project"), "run", "prod"]
    theirs += ["--select-model", project.model.name, "--skip-janitor"]
    return Result(
        NAME,
        ABOUT,
        [
            side_of(project, "ours", ours, environment(DAGSTER_HOME=str(home))),
            side_of(project, "theirs", theirs, environment()),
        ],
        project.facts,
    )


def key_of(project: Prepared) -> str:
    """The asset key of the model that is due, with slashes."""
    return "/".join((Path(DATABASE).stem, *project.model.name.split(".")))


def side_of(project: Prepared, name: str, command: list[str], env: dict[str, str]) -> Side:
    """A side that builds exactly the model that is due, in the folder of its name."""
    folder = project.folder / name
    database = folder / "project" / DATABASE
    before: Intervals = {}

    def make_due() -> None:
        project.make_due(folder)
        before.clear()
        before.update(days_of_state(database))
        rows = _rows(database, project.model.name)
        if rows:
            raise RuntimeError(f"{project.model.name} is not due: it has {rows} rows")

    label = LABELS.get(name, name)
    verify = _verify(project, database, before)
    return Side(name, label, command, folder, env, make_due, verify)


def _verify(
    project: Prepared, database: Path, before: Intervals
) -> Callable[[float, str], dict[str, Any]]:
    """The model's day is in its table and in the state, and nothing else was touched."""

    def verify(_began: float, output: str) -> dict[str, Any]:
        after = days_of_state(database)
        changed = {name: after.get(name, 0) - days for name, days in before.items()}
        built = {name: days for name, days in changed.items() if days}
        schema, table = project.model.name.split(".")
        name = f'"{Path(DATABASE).stem}"."{schema}"."{table}"'
        rows = _rows(database, project.model.name)
        if built != {name: 1} or after.keys() != before.keys() or not rows:
            raise RuntimeError(
                f"Not exactly {name} was built: days added {built}, "
                f"{rows} rows of the day.\n{output}"
            )
        return {"rows": rows}

    return verify


def days_of_state(database: Path) -> Intervals:
    """How many days of each model the state has, removed ones taken off."""
    with closing(duckdb.connect(str(database), read_only=True)) as connection:
        found = connection.execute(
            "SELECT name, SUM(CASE WHEN is_removed THEN start_ts - end_ts ELSE end_ts - start_ts "
            "END) // 86400000 FROM sqlmesh._intervals GROUP BY name"
        ).fetchall()
    return {name: int(days) for name, days in found}


def _rows(database: Path, model: str) -> int:
    """Rows of the day that is due, as readers see them."""
    query = f"SELECT COUNT(*) FROM {model} WHERE day = '{LAST_DAY}'"
    with closing(duckdb.connect(str(database), read_only=True)) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
