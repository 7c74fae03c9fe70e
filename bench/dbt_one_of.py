"""dbt-one-of-1000: one dbt model of a thousand, through Dagster and natively."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.dbt_project import Prepared, dbt_command, prepare
from bench.measure import Result, Side

NAME = "dbt-one-of-1000"
ABOUT = "Build one dbt model of 1,000, the whole process"
_THREADS = 4


def prepared(cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
    """The project on DuckDB."""

    def output(_side: str) -> Mapping[str, Any]:
        return {"type": "duckdb", "path": "warehouse.duckdb", "threads": _THREADS}

    return prepare(cache, count, output, say)


def compare(project: Prepared) -> Result:
    """`dagster asset materialize`, Dagster's start included, against `dbt run --select`.

    dbt has its partial parse, as it keeps it for everybody; ours what `prepare` has written.
    """
    ours = project.dagster(f"key:{project.model}")
    theirs = dbt_command("run", "--select", project.model)

    def side(name: str, label: str, command: list[str], folder: Path) -> Side:
        def verify(_began: float, output: str) -> dict[str, Any]:
            """Exactly this model was built."""
            found = [(r["unique_id"], r["status"]) for r in project.results(name)]
            if found != [(f"model.many.{project.model}", "success")]:
                raise RuntimeError(f"Not exactly {project.model} was built: {found}\n{output}")
            return {}

        return Side(name, label, command, folder, project.environment(), lambda: None, verify)

    return Result(
        NAME,
        ABOUT,
        [
            side("ours", "dagster asset materialize", ours, project.ours),
            side("theirs", "dbt run --select", theirs, project.theirs),
        ],
        project.facts,
    )
