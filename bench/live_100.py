"""live-100: how far the UI is behind the database while 100 models are built."""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import begun
from bench.postgres import start_server

NAME = "live-100"
ABOUT = (
    "100 models with a check each: seconds from a build's commit to its event in another process"
)
MODELS = 100
TARGET_SECONDS = 2.0


def run(runs: int, console: Console) -> dict[str, Any]:
    """Measure both frameworks on both engines, print a table, and give what is to be written.

    A process that is not the run's looks fifty times a second for materialisations in Dagster's
    storage: SQLite with DuckDB, PostgreSQL with PostgreSQL. It compares with the time that the
    database itself notes at the end of each build; DuckDB has its beginning only, so that a build's
    own time counts as lag there.
    """
    from tests.support.live_runs import make_project, watch
    from tests.support.postgres import PostgresDatabase
    from tests.support.sqlmesh_projects import Database

    found: dict[str, Any] = {
        **begun(NAME, ABOUT),
        "models": MODELS,
        "seconds": {},
    }
    server = start_server()
    for framework in ("sqlmesh", "dbt"):
        for engine in ("duckdb", "postgres"):
            name = f"{framework}, {engine}"
            with tempfile.TemporaryDirectory() as text, console.status(name):
                folder, storage = Path(text) / "t", None
                folder.mkdir()
                if engine == "duckdb":
                    database = Database.in_file(folder / "w.duckdb")
                else:
                    here = PostgresDatabase(server.host, server.port, server.user, "unused", "")
                    databases = [f"{framework}_{what}" for what in ("warehouse", "dagster")]
                    server.execute(f"CREATE DATABASE {each}" for each in databases)
                    warehouse, storage = (replace(here, database=each) for each in databases)
                    database = Database.in_postgres(warehouse, 4)
                transform = make_project(framework, folder, database, MODELS, storage)
                found["seconds"][name] = []
                for _ in range(runs):
                    watched = watch(transform, database, storage)
                    if len(watched.lags) != MODELS:
                        raise RuntimeError(f"{name}: {len(watched.lags)} of {MODELS} were built")
                    found["seconds"][name].append(watched.lags)
    found["machine"]["load_after"] = os.getloadavg()[0]
    _show(found, console)
    return found


def _show(found: dict[str, Any], console: Console) -> None:
    table = Table(title=ABOUT, title_justify="left")
    for column in ("", "median", "most", "most of each run", "target"):
        table.add_column(column)
    for name, runs in found["seconds"].items():
        every, most = [lag for lags in runs for lag in lags], [max(lags) for lags in runs]
        cells = (f"{statistics.median(every):.2f} s", f"{max(most):.2f} s")
        each = ", ".join(f"{seconds:.2f}" for seconds in most)
        table.add_row(name, *cells, each, f"{TARGET_SECONDS:g} s")
    console.print(table)
