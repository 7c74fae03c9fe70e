"""dbt-300: how fast 300 dbt models are built, by our walk and by dbt's own scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.dbt_project import Prepared, dbt_command, prepare
from bench.measure import Result, Side
from bench.postgres import start_server

NAME = "dbt-300"
ABOUT = (
    "300 dbt models on PostgreSQL, 8 threads: from the first model's start to the last one's end"
)
_MODELS = 300
_THREADS = 8


def prepared(cache: Path, _count: int, say: Callable[[str], None]) -> Prepared:
    """The project, on a PostgreSQL server that is there as long as this process."""
    server = start_server()

    def output(side: str) -> Mapping[str, Any]:
        return server.dbt_output(side, _THREADS)

    return prepare(cache, _MODELS, output, say)


def compare(project: Prepared) -> Result:
    """All models through Dagster, with its events stored, against `dbt run`.

    What is compared is the time in which models are built, as both sides' run_results.json tell
    it: neither dbt's start nor Dagster's is in it. The whole command's, with the events that are
    stored after the last model, is shown below the table.
    """
    ours = project.dagster("*")
    theirs = dbt_command("run")

    def side(name: str, label: str, command: list[str], folder: Path) -> Side:
        def verify(began: float, output: str) -> dict[str, Any]:
            whole = time.time() - began
            results = project.results(name)
            built = sum(r["status"] == "success" for r in results)
            if built != _MODELS:
                raise RuntimeError(f"{built} of {_MODELS} models were built\n{output}")
            times = [
                datetime.fromisoformat(t[k]) for r in results for t in r["timing"] for k in _ENDS
            ]
            wall = (max(times) - min(times)).total_seconds()
            phases = {"models": wall, "whole command": whole}
            return {"wall": wall, "models_per_second": _MODELS / wall, "phases": phases}

        return Side(
            name,
            label,
            command,
            folder,
            project.environment(),
            lambda: _empty(project, name),
            verify,
        )

    return Result(
        NAME,
        ABOUT,
        [
            side("ours", "our walk, in Dagster", ours, project.ours),
            side("theirs", "dbt run", theirs, project.theirs),
        ],
        project.facts,
    )


_ENDS = ("started_at", "completed_at")


def _empty(project: Prepared, schema: str) -> None:
    """Both sides begin with nothing, each time."""
    import psycopg2
    import yaml

    profile = project.folder / schema / "project" / "profiles.yml"
    output = yaml.safe_load(profile.read_text(encoding="utf-8"))["many"]["outputs"]["bench"]
    given = {key: output[key] for key in ("host", "port", "user", "dbname")}
    with closing(psycopg2.connect(**given)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
